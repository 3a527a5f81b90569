"""The files of a verification: the document as JSON, and a page to look at."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from datetime import UTC
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from tap_quickbooks_raw.evidence.scrubbing import scrub
from tap_quickbooks_raw.exceptions import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_quickbooks_raw.evidence.document import Verification


def write(verification: Verification, folder: Path) -> tuple[Path, Path]:
    """Write a JSON file and a page; `latest-<realm>.html` becomes a copy of the page.

    The names sort by time. No file of another verification is written over, and nobody sees
    half a file.

    Returns:
        The JSON file and the page.

    Raises:
        SettingsError: The folder cannot be written to, or the page cannot be made; the JSON file
            is written all the same, if it can be.
    """
    document = scrub(verification)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _reserved(folder, _stem(document)) as (data, page):
            _replace(data, msgspec.json.format(msgspec.json.encode(document)) + b"\n")
            _replace(page, _page(document, data).encode())
        _replace(folder / f"latest-{_realm(document)}.html", page.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"--evidence: {folder} cannot be written to ({error.strerror or error}); name another "
            "folder"
        ) from None
    return data, page


def _page(document: Verification, data: Path) -> str:
    # What cannot be cached is made anew: nothing that the reader of a verification must know.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from tap_quickbooks_raw.evidence.page import render  # noqa: PLC0415  Takes a second.
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        raise SettingsError(
            f"--evidence: the page needs {library}: install tap-quickbooks-raw[evidence]; "
            f"without the page the verification is in {data}"
        ) from None
    return render(document, data_file=data.name)


def _realm(document: Verification) -> str:
    """The company as a part of a file's name."""
    return re.sub(r"[^0-9A-Za-z_-]", "_", document.realm_id)


def _stem(document: Verification) -> str:
    moment = document.started_at.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H%M%SZ}-{_realm(document)}"


@contextmanager
def _reserved(folder: Path, stem: str) -> Iterator[tuple[Path, Path]]:
    """Take two names that nobody has; what stays empty is removed."""
    taken: list[Path] = []
    try:
        for number in count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            paths = [folder / f"{name}.json", folder / f"{name}.html"]
            try:
                for path in paths:
                    path.touch(exist_ok=False)
                    taken.append(path)
                break
            except FileExistsError:
                _remove_empty(taken)
                taken.clear()
        yield paths[0], paths[1]
    finally:
        _remove_empty(taken)


def _remove_empty(paths: list[Path]) -> None:
    for path in paths:
        if not path.stat().st_size:
            path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
