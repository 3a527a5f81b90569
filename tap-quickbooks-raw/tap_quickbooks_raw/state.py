"""The state that a run begins with: of this company, and readable."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import msgspec

from tap_quickbooks_raw.bookmarks import INSTANTS
from tap_quickbooks_raw.exceptions import StateError
from tap_quickbooks_raw.settings import parse_date

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_json(file: IO[str] | None, what: str) -> dict[str, Any] | None:
    """Read a JSON file that was given on the command line.

    Raises:
        StateError: It is damaged.
    """
    if file is None:
        return None
    try:
        return msgspec.json.decode(file.read(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise StateError(f"The {what} file {file.name} is damaged: {error}") from None


def check_state(state: Mapping[str, Any], realm_id: str | None) -> None:
    """Refuse a state of another company, or one that cannot be understood.

    Raises:
        StateError: It cannot be used; the message says what to do.
    """
    bookmarks: object = state.get("bookmarks")
    if bookmarks is None:
        return
    if not isinstance(bookmarks, dict):
        raise StateError("The state is no Singer state; see `meltano state get`, or clear it")
    for stream, bookmark in bookmarks.items():
        _check_bookmark(stream, bookmark, realm_id)


def _check_bookmark(stream: str, bookmark: object, realm_id: str | None) -> None:
    if not isinstance(bookmark, dict):
        raise StateError(f"The state of {stream} is no object; see `meltano state get`")
    owner = bookmark.get("realm_id")
    if owner is not None and realm_id is not None and str(owner) != realm_id:
        raise StateError(
            f"This state belongs to company (realm) {owner}, but realm_id is {realm_id}: "
            f"run with --state-id-suffix {realm_id} to keep one state per company"
        )
    for name in INSTANTS:
        value = bookmark.get(name)
        try:
            if value is not None:
                parse_date(value)
        except (TypeError, ValueError):
            raise StateError(
                f"The bookmark of {stream} is {value!r}, which is no date-time ({name}); "
                "mend it with `meltano state get` and `meltano state set`, or clear it"
            ) from None
