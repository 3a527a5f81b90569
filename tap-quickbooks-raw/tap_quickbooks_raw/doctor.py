"""Looks into everything that a run needs, and says what to do about what is missing."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests

from tap_quickbooks_raw import connections
from tap_quickbooks_raw.answers import http_date
from tap_quickbooks_raw.batches import BATCH_ITEMS, ask_batch, count_all
from tap_quickbooks_raw.command_settings import authenticator, choose_company
from tap_quickbooks_raw.company_info import read_company
from tap_quickbooks_raw.entities import ENTITIES
from tap_quickbooks_raw.exceptions import (
    QuickBooksError,
    ReconnectError,
    SettingsError,
    TokenStoreError,
    UnansweredError,
)
from tap_quickbooks_raw.findings import Finding, Level
from tap_quickbooks_raw.limiter import BATCHES_PER_MINUTE
from tap_quickbooks_raw.planning import base_query, countable
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.settings import API_URLS
from tap_quickbooks_raw.sign_in import SCOPE
from tap_quickbooks_raw.tokens import TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_quickbooks_raw.client import QuickBooksClient
    from tap_quickbooks_raw.entities import Entity
    from tap_quickbooks_raw.settings import Settings
    from tap_quickbooks_raw.token_files import FileTokenStore
    from tap_quickbooks_raw.token_tables import PostgresTokenStore

NETWORK_SECONDS = 10
SKEW_SECONDS = 60
ATTEMPTS = 2
STORE = "token store"

# Which check a refusal of QBO belongs to, by its code.
SUBJECTS = {
    "100": "connection",
    "120": "rights",
    "3100": "environment",
    "3200": "connection",
    "3201": "scope",
}
_CODE = re.compile(r"\bcode (\d+)")


class Doctor:
    """Makes all checks, one after the other; none ends because another one has failed.

    Args:
        settings: Valid settings; the company may be missing.
        store: The token store.
        hosts: Intuit's API hosts by environment.
        now: Clock, in seconds since 1970.

    Attributes:
        calls: Requests sent to QBO.
    """

    def __init__(
        self,
        settings: Settings,
        store: FileTokenStore | PostgresTokenStore,
        *,
        hosts: Mapping[str, str] = API_URLS,
        now: Callable[[], float] = time.time,
    ) -> None:
        # A budget is for runs, and a check that needs five attempts has failed.
        self._settings = replace(
            settings, max_api_calls=None, max_run_seconds=None, max_attempts=ATTEMPTS
        )
        self._store = store
        self._hosts = hosts
        self._now = now
        self._skew: float | None = None
        self.calls = 0

    def findings(self) -> Iterator[Finding]:
        """Yield what each check has found."""
        settings = self._settings
        yield Finding(Level.OK, "settings", f"complete; {settings.environment}, {settings.api_url}")
        useful = True
        for finding in (*self._look_into_store(), *self._look_into_network()):
            useful = useful and finding.level is not Level.FAIL
            yield finding
        if useful:
            run = Run(self._settings)
            try:
                yield from self._look_into_company(run)
            finally:
                self.calls += run.client.calls
                run.close()
        yield self._look_at_clock()
        yield self._name_limits()

    def _look_into_store(self) -> Iterator[Finding]:
        unchosen = ""
        token = None
        try:
            try:
                self._settings = choose_company(self._settings, self._store)
            except SettingsError as error:
                unchosen = str(error)
            key = TokenKey(self._settings.client_id, self._settings.realm_id)
            with self._store.lock(key):
                token = self._store.load(key)
                if token is not None:
                    self._store.save(key, token)  # Encrypts it, if there is a key by now.
            self._store.prove()
            sealing = self._look_at_seal()
        except QuickBooksError as error:
            yield Finding(Level.FAIL, STORE, str(error))
            return
        yield sealing
        if unchosen:
            yield Finding(Level.FAIL, connections.SUBJECT, unchosen)
        elif token is not None:
            found = list(connections.examine(key, token, self._now(), self._settings.refresh_token))
            yield from found or [self._sound(key, connections.idle_end(token))]
        elif self._settings.refresh_token:
            text = f"company (realm) {key.realm_id} begins with the refresh_token of the settings"
            yield Finding(Level.OK, connections.SUBJECT, text)
        else:
            text = (
                f"nothing is stored for company (realm) {key.realm_id}; sign in: "
                "`tap-quickbooks-raw-auth login`"
            )
            yield Finding(Level.FAIL, connections.SUBJECT, text)

    def _look_at_seal(self) -> Finding:
        if self._store.seal.encrypts:
            keys = self._store.keys()
            plain = [key.realm_id for key in keys if not self._store.is_sealed(key)]
            if plain:
                text = (
                    f"{self._store} can be used, but the tokens of company (realm) "
                    f"{', '.join(plain)} are not encrypted yet; the next refresh does it: "
                    f"`tap-quickbooks-raw-auth refresh --realm {plain[0]}`"
                )
                return Finding(Level.WARN, STORE, text)
            return Finding(Level.OK, STORE, f"{self._store} can be used, and is encrypted")
        text = (
            f"{self._store} can be used, but is not encrypted; set "
            "TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY to what `tap-quickbooks-raw-auth new-key` "
            "prints"
        )
        return Finding(Level.WARN, STORE, text)

    def _sound(self, key: TokenKey, end: float) -> Finding:
        text = f"company (realm) {key.realm_id} is connected"
        if end:
            days = int((end - self._now()) // connections.DAY)
            text += f", for {days} days, and longer if it is used"
        return Finding(Level.OK, connections.SUBJECT, text)

    def _look_into_network(self) -> Iterator[Finding]:
        for name in ("api_url", "token_url"):
            url = getattr(self._settings, name)
            try:
                response = requests.head(url, timeout=NETWORK_SECONDS, allow_redirects=False)
            except requests.RequestException as error:
                text = (
                    f"{url} does not answer ({type(error).__name__}); check {name}, the network, "
                    "a proxy (HTTPS_PROXY) and certificates (REQUESTS_CA_BUNDLE)"
                )
                yield Finding(Level.FAIL, "network", text)
            else:
                yield Finding(Level.OK, "network", f"{url} answers")
                self._note_clock(http_date(response.headers.get("Date")))

    def _look_into_company(self, run: Run) -> Iterator[Finding]:
        key = TokenKey(self._settings.client_id, self._settings.realm_id)
        try:
            # An access token that is still good would show neither the secret nor the refresh
            # token to be so: it counts as refused.
            known = self._store.load(key)
            authenticator(self._settings, self._store).bearer(known.access_token if known else "")
        except (ReconnectError, UnansweredError, SettingsError, TokenStoreError) as error:
            yield Finding(Level.FAIL, connections.SUBJECT, str(error))
            return
        except QuickBooksError as error:
            yield Finding(Level.FAIL, "keys", str(error))
            return
        yield Finding(Level.OK, "keys", "there is an access token for them")
        try:
            company = read_company(run.client)
        except QuickBooksError as error:
            yield self._explain(error)
            return
        finally:
            self._note_clock(run.client.clock)
        yield Finding(Level.OK, "company", str(company))
        text = f"keys, company and host fit each other ({self._settings.environment})"
        yield Finding(Level.OK, "environment", text)
        yield Finding(Level.OK, "scope", f"{SCOPE} is granted")
        yield self._look_into_entities(run.client)

    def _explain(self, error: QuickBooksError) -> Finding:
        """Say why the company cannot be read, perhaps because it is of the other environment."""
        code = _CODE.search(str(error))
        finding = Finding(Level.FAIL, SUBJECTS.get(code[1] if code else "", "company"), str(error))
        settings = self._settings
        if settings.api_url != self._hosts[settings.environment]:
            return finding
        (other,) = self._hosts.keys() - {settings.environment}
        run = Run(replace(settings, api_url=self._hosts[other]))
        try:
            company = read_company(run.client)
        except QuickBooksError:
            return finding
        finally:
            self.calls += run.client.calls
            run.close()
        text = (
            f"this connection is of {other} ({company}), but the setting `environment` says "
            f"{settings.environment}; set TAP_QUICKBOOKS_RAW_ENVIRONMENT={other}, or sign in with "
            f"the {settings.environment} keys: `tap-quickbooks-raw-auth login`"
        )
        return Finding(Level.FAIL, "environment", text)

    def _look_into_entities(self, client: QuickBooksClient) -> Finding:
        subject = "entities"
        asked = [entity for entity in ENTITIES if countable(entity)]
        try:
            counts = count_all(client, [base_query(entity) for entity in asked])
            unsure = [entity for entity, count in zip(asked, counts, strict=True) if count is None]
            missing = _without_rows(client, unsure)
        except QuickBooksError as error:
            return Finding(Level.FAIL, subject, str(error))
        readable = len(asked) - len(missing)
        if not readable:
            text = "none can be read; try again later, and give Intuit's support the time"
            return Finding(Level.FAIL, subject, text)
        text = f"{readable} of {len(asked)} can be read, {sum(c or 0 for c in counts):,} objects"
        if missing:
            text += f"; this company does not have {', '.join(map(_described, missing))}"
        others = ", ".join(entity.name for entity in ENTITIES if entity not in asked)
        return Finding(Level.OK, subject, f"{text}; not asked for: {others}")

    def _note_clock(self, clock: datetime | None) -> None:
        if clock is not None:
            self._skew = (clock - datetime.fromtimestamp(self._now(), UTC)).total_seconds()

    def _look_at_clock(self) -> Finding:
        subject = "clock"
        if self._skew is None:
            return Finding(Level.WARN, subject, "the server did not tell its time; see above")
        seconds = abs(self._skew)
        if seconds > SKEW_SECONDS:
            side = "behind" if self._skew > 0 else "ahead of"
            text = f"this machine is {seconds:.0f} s {side} the server; set its clock by NTP"
            return Finding(Level.WARN, subject, text)
        return Finding(Level.OK, subject, f"within {SKEW_SECONDS} s of the server's")

    def _name_limits(self) -> Finding:
        settings = self._settings
        text = (
            f"{settings.concurrency} requests at once, 10 a second, "
            f"{settings.requests_per_minute} a minute, {BATCHES_PER_MINUTE} batches a minute; how "
            "much of the month's allowance is left only developer.intuit.com tells"
        )
        if settings.requests_per_minute > 500:  # noqa: PLR2004  Intuit's own ceiling.
            text += "; set requests_per_minute to 500 or less, for Intuit allows no more"
            return Finding(Level.WARN, "limits", text)
        return Finding(Level.OK, "limits", text)


def _without_rows(client: QuickBooksClient, entities: list[Entity]) -> list[Entity]:
    """Return those of some uncounted entities that cannot be read either."""
    missing: list[Entity] = []
    for first in range(0, len(entities), BATCH_ITEMS):
        part = entities[first : first + BATCH_ITEMS]
        texts = [base_query(entity).page(position=1, rows=1) for entity in part]
        answers = ask_batch(client, texts)
        missing += [entity for entity, lists in zip(part, answers, strict=True) if lists is None]
    return missing


def _described(entity: Entity) -> str:
    return f"{entity.name} (only {entity.only})" if entity.only else entity.name
