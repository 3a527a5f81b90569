"""Signing in at Intuit: the page to open, the answer that comes back, the tokens for it.

https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

import requests

from tap_quickbooks_raw.exceptions import CompanyError, ReconnectError, SettingsError
from tap_quickbooks_raw.redirects import belongs, read_answer
from tap_quickbooks_raw.settings import TOKEN_URL
from tap_quickbooks_raw.token_endpoint import TIMEOUT_SECONDS, Credentials, TokenEndpoint
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint
from tap_quickbooks_raw.unbroken import unbroken

if TYPE_CHECKING:
    from tap_quickbooks_raw.settings import Settings
    from tap_quickbooks_raw.tokens import TokenStore

SCOPE = "com.intuit.quickbooks.accounting"
AUTHORIZE_URL = "https://appcenter.intuit.com/connect/oauth2"
REVOKE_URL = "https://developer.api.intuit.com/v2/oauth2/tokens/revoke"
LOOPBACK = ("localhost", "127.0.0.1")

AGAIN = "start again: `tap-quickbooks-raw-auth login`"
REFUSALS = {
    "access_denied": "the sign-in was cancelled in the browser (access_denied); "
    f"{AGAIN}, and choose Connect as an administrator of the company",
    "invalid_scope": f"the app does not have the scope {SCOPE} (invalid_scope); add it to the app "
    f"at developer.intuit.com, then {AGAIN}",
    "unauthorized_client": "the app may not ask for a sign-in (unauthorized_client); check "
    "QB_CLIENT_ID, and the app at developer.intuit.com",
}

# RFC 6749, 4.1.2.1; anything else in its place is not shown.
_ERROR_WORD = re.compile("[a-z_]{1,40}")
_REALM = re.compile("[0-9]{1,30}")


class Consent(NamedTuple):
    """What a person's consent gives: a company, and a code for its tokens."""

    realm_id: str
    code: str

    def __repr__(self) -> str:
        return f"Consent(realm_id={self.realm_id!r})"


class SignIn(NamedTuple):
    """One sign-in.

    Attributes:
        client_id: The app.
        redirect_uri: Where Intuit sends the browser back to.
        authorize_url: Intuit's page, without parameters.
        state: Comes back with the answer; nobody else knows it.
    """

    client_id: str
    redirect_uri: str
    authorize_url: str
    state: str

    @classmethod
    def begin(cls, client_id: str, redirect_uri: str, authorize_url: str) -> SignIn:
        """Return a sign-in with a fresh state."""
        return cls(client_id, redirect_uri, authorize_url, secrets.token_urlsafe(32))

    @property
    def address(self) -> str:
        """The page to open in a browser."""
        parameters = {
            "client_id": self.client_id,
            "response_type": "code",
            "scope": SCOPE,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
        }
        return f"{self.authorize_url}?{urlencode(parameters)}"

    def read(self, address: str) -> Consent:
        """Read the address that the browser was sent back to.

        Raises:
            ReconnectError: It is no answer to this sign-in, or a refusal.
        """
        given = read_answer(address)
        if not belongs(given, self.state):
            raise ReconnectError(
                "What came back does not belong to this sign-in (its state differs or is "
                f"missing); nothing was exchanged, and {AGAIN}"
            )
        if "error" in given:
            word = given["error"] if _ERROR_WORD.fullmatch(given["error"]) else "no known reason"
            reason = REFUSALS.get(word, f"Intuit refused it ({word}); {AGAIN}")
            raise ReconnectError(f"Nothing was stored: {reason}")
        if not given.get("code"):
            raise ReconnectError(f"What came back has no code in it; {AGAIN}")
        realm_id = given.get("realmId", "")
        return Consent(realm_id if _REALM.fullmatch(realm_id) else "", given["code"])


def beside(token_url: str, own: str) -> str:
    """Return an address of Intuit's, or its like on the host that stands in for Intuit's."""
    if token_url == TOKEN_URL:
        return own
    return urlsplit(token_url)._replace(path=urlsplit(own).path, query="", fragment="").geturl()


def is_local(redirect_uri: str) -> bool:
    """Whether a redirect URI leads to this machine.

    Raises:
        SettingsError: It is no address.
    """
    try:
        parts = urlsplit(redirect_uri)
        if parts.port == 0:
            parts = urlsplit("")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(
            f"--redirect-uri: {redirect_uri!r} is no address; write it like https://host/path"
        )
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def check_company(settings: Settings, consent: Consent) -> str:
    """Return the company of a consent, before anything is exchanged.

    Raises:
        SettingsError: It is not the one of the settings, or none is known.
    """
    realm_id = consent.realm_id or settings.realm_id
    if not realm_id:
        raise SettingsError("realm_id: Intuit did not name the company; set QB_REALM_ID")
    if settings.realm_id and settings.realm_id != realm_id:
        raise SettingsError(
            f"realm_id: the company chosen in the browser is {realm_id}, but QB_REALM_ID (or "
            f"--realm) names {settings.realm_id}; nothing was stored. Choose that company in the "
            f"browser, or name this one: `tap-quickbooks-raw-auth login --realm {realm_id}`"
        )
    return realm_id


def connect(
    settings: Settings, consent: Consent, sign_in: SignIn, *, store: TokenStore, now: float
) -> Token:
    """Exchange the code of a consent and store the tokens, all under the store's lock.

    Args:
        settings: The app and, by `realm_id`, the company.
        consent: What came back.
        sign_in: The sign-in that it came back to.
        store: Where the tokens go.
        now: Seconds since 1970.

    Raises:
        QuickBooksError: There are no tokens, or they cannot be stored.
    """
    endpoint = TokenEndpoint(
        settings.token_url,
        Credentials(settings.client_id, settings.client_secret, settings.realm_id),
    )
    key = TokenKey(settings.client_id, settings.realm_id)
    with store.lock(key), unbroken():
        if not settings.token_encryption_key:
            store.load(key)  # Encrypted tokens are not replaced by plain ones.
        try:
            grant = endpoint.exchange(consent.code, sign_in.redirect_uri)
        except ReconnectError:
            raise ReconnectError(
                "Intuit does not accept the code of this sign-in (invalid_grant): it is good once, "
                f"for some minutes, and for one redirect URI; {AGAIN}"
            ) from None
        if not grant.refresh_token:
            raise endpoint.no_token()
        configured = settings.refresh_token
        token = Token(
            refresh_token=grant.refresh_token,
            access_token=grant.access_token,
            expires_at=now + grant.expires_in,
            refreshed_at=now,
            # So that an older refresh token that is still in the settings does not win.
            seed=fingerprint(configured) if configured else "",
            connected_at=now,
            ends_at=now + grant.ends_in,
            environment=settings.environment,
        )
        store.save(key, token)
    return token


def revoke(settings: Settings, url: str, token: Token) -> bool:
    """End a connection at Intuit; return whether it was still alive there.

    Raises:
        CompanyError: It may be alive still.
    """
    try:
        response = requests.post(
            url,
            json={"token": token.refresh_token},
            auth=(settings.client_id, settings.client_secret),
            headers={"Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        reason = f"no answer ({type(error).__name__})"
    else:
        if response.status_code == requests.codes.ok:
            return True
        is_keys = response.status_code == requests.codes.unauthorized or (
            b'_client"' in response.content
        )
        # So it answers for tokens that are dead already.
        if response.status_code == requests.codes.bad_request and not is_keys:
            return False
        reason = f"status {response.status_code}"
        if is_keys:
            reason += "; check QB_CLIENT_ID and QB_CLIENT_SECRET"
    raise CompanyError(
        f"The connection could not be revoked at {url}: {reason}. The tokens stay stored; try "
        "again, or forget them here alone with `tap-quickbooks-raw-auth logout --local` and "
        "disconnect the app in QuickBooks (Settings, Manage apps)"
    )
