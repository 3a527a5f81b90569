"""How old the stored connections are, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tap_quickbooks_raw.findings import Finding, Level
from tap_quickbooks_raw.token_endpoint import IDLE_SECONDS
from tap_quickbooks_raw.tokens import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_quickbooks_raw.tokens import Token, TokenKey

DAY = 86_400.0
# x_refresh_token_hard_expires_in: every chain of tokens ends five years after the consent.
CHAIN_SECONDS = 157_680_000.0
WARN_SECONDS = 14 * DAY
# A refresh takes seconds; a note of one that is older tells that its answer was lost.
REFRESH_SECONDS = 180.0

SUBJECT = "connection"
COLUMNS = (18, 12, 20, 26, 24, 24)
HEADINGS = (
    "company (realm)",
    "environment",
    "connected",
    "last refresh",
    "ends if idle",
    "5-year limit",
)


def idle_end(token: Token) -> float:
    """When a connection ends unless it is used; 0 if that is not known."""
    if token.ends_at or not token.refreshed_at:
        return token.ends_at
    return token.refreshed_at + IDLE_SECONDS


def chain_end(token: Token) -> float:
    """When a connection ends however it is used; 0 if that is not known."""
    return token.connected_at + CHAIN_SECONDS if token.connected_at else 0.0


def begins_anew(token: Token, setting: str) -> bool:
    """Whether the `refresh_token` setting is another one than a connection began with."""
    return bool(setting) and setting != token.refresh_token and fingerprint(setting) != token.seed


def examine(key: TokenKey, token: Token, now: float, setting: str = "") -> Iterator[Finding]:
    """Say how long a connection lasts; what is worst comes first.

    Args:
        key: Whose connection.
        token: Its tokens.
        now: Seconds since 1970.
        setting: The refresh token that the settings have for this company.
    """
    ends = [
        (chain_end(token), "five years after the sign-in", "login"),
        (idle_end(token), "unless it is used", "refresh"),
    ]
    company = f"the connection of company (realm) {key.realm_id}"
    known = [(end, why, mend) for end, why, mend in ends if end]
    if token.refused_at or any(end <= now for end, _, _ in known):
        text = f"{company} has ended"
        if token.refused_at:
            text += f": Intuit refused its refresh token at {_moment(token.refused_at)}"
        if begins_anew(token, setting):
            text += "; QB_REFRESH_TOKEN is another one than it began with, and is tried first"
            yield Finding(Level.WARN, SUBJECT, text)
        else:
            text += "; sign in again: `tap-quickbooks-raw-auth login`"
            yield Finding(Level.FAIL, SUBJECT, text)
        return
    for end, why, mend in known:
        if end - now <= WARN_SECONDS:
            text = f"{company} ends in {_days(end - now)}, {why}: `tap-quickbooks-raw-auth {mend}`"
            yield Finding(Level.WARN, SUBJECT, text)
    if token.asked_at and now - token.asked_at > REFRESH_SECONDS:
        text = (
            f"the answer to the refresh of {_moment(token.asked_at)} for company (realm) "
            f"{key.realm_id} was lost; see whether it still works: `tap-quickbooks-raw-auth "
            "refresh`"
        )
        yield Finding(Level.WARN, SUBJECT, text)


def unopened(key: TokenKey, reason: str, *, encrypts: bool) -> Finding:
    """Say that what is stored for a company cannot be opened, and how to replace it.

    Args:
        key: Whose connection.
        reason: Why it cannot.
        encrypts: Whether there is a key; without one, a sign-in replaces nothing encrypted.
    """
    text = f"the tokens of company (realm) {key.realm_id} cannot be opened: {reason}; or "
    if not encrypts:
        text += (
            f"forget them, `tap-quickbooks-raw-auth logout --local --realm {key.realm_id}`, and "
        )
    text += f"sign in again: `tap-quickbooks-raw-auth login --realm {key.realm_id}`"
    return Finding(Level.FAIL, SUBJECT, text)


def table(connections: Sequence[tuple[TokenKey, Token]], now: float) -> str:
    """Lay out connections for reading."""
    rows: list[Sequence[str]] = [HEADINGS]
    for key, token in connections:
        rows.append(
            (
                key.realm_id,
                token.environment or "-",
                _past(token.connected_at, now, "%Y-%m-%d"),
                _past(token.refreshed_at, now, "%Y-%m-%d %H:%MZ"),
                _future(idle_end(token), now),
                _future(chain_end(token), now),
            )
        )
    lines = [
        "".join(f"{cell:<{width}}" for cell, width in zip(row, COLUMNS, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _past(moment: float, now: float, form: str) -> str:
    if not moment:
        return "-"
    return f"{datetime.fromtimestamp(moment, UTC):{form}} ({_days(now - moment, short=True)})"


def _future(moment: float, now: float) -> str:
    if not moment:
        return "-"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d} ({_days(moment - now, short=True)})"


def _days(seconds: float, *, short: bool = False) -> str:
    days = int(seconds // DAY)
    if short:
        return f"{days:,} d"
    return f"{days} days" if days != 1 else "1 day"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
