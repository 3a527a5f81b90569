"""A store is known by its address; what is no address of one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tap_quickbooks_raw.exceptions import SettingsError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.token_stores import FORMS, store_at
from tap_quickbooks_raw.tokens import Token, TokenKey

KEY = TokenKey("app", "1185883450")
TOKEN = Token(refresh_token="refresh-1")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///var/lib/tokens.json", "/var/lib/tokens.json"),
        ("file://localhost/var/lib/tokens.json", "/var/lib/tokens.json"),
        ("file:///with%20blank/t.json", "/with blank/t.json"),
    ],
)
def test_a_file_address_names_the_file(address: str, path: str) -> None:
    store = store_at(address, Seal())

    assert isinstance(store, FileTokenStore)
    assert store._path == Path(path)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """Replaced by a file, it would leave tokens that are soon dead where it led."""
    target, link = tmp_path / "kept" / "tokens.json", tmp_path / "tokens.json"
    target.parent.mkdir()
    link.symlink_to(target)
    store_at(link.as_uri(), Seal()).save(KEY, TOKEN)
    store_at(link.as_uri(), Seal()).save(KEY, Token(refresh_token="refresh-2"))

    assert link.is_symlink()
    assert FileTokenStore(target).load(KEY) == Token(refresh_token="refresh-2")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", FORMS),
        ("tokens.json", FORMS),
        ("/var/tokens.json", FORMS),
        ("file://", FORMS),
        ("file://host/x", FORMS),
        ("ftp://host/x", f"'ftp' is not supported; {FORMS}"),
        ("file://[", f"is no address; {FORMS}"),
        ("file:///a%00b", f"is no address; {FORMS}"),
    ],
)
def test_an_address_of_no_known_kind_is_refused(address: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        store_at(address, Seal())
    assert str(raised.value) == f"token_store: {message}"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:sesame@[host/db",
        "postgresql://user:sesame\u2100@host/db",
        "postgresql://user:sesame%zz@host/db",
        "postgresql://user:sesame@host/db?nonsense=1",
        "postgresql://user:sesame@host/db?sslmode",
        "POSTGRESQL://user:sesame@host/db",
        "postgresql:user:sesame",
        "postgresql://user:sesame\udc80@host/db",
        "postgresql+driver://user:sesame@host/db",
        "jdbc:postgresql://host/db?password=sesame",
    ],
)
def test_an_address_that_is_refused_is_not_quoted(address: str) -> None:
    """There may be a password in it."""
    with pytest.raises(SettingsError, match=r"^token_store: ") as raised:
        store_at(address, Seal())
    assert "sesame" not in f"{raised.value} {raised.value.__cause__}"
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (
            "postgresql://u:sesame@db.example.com:6432/tokens",
            "db.example.com:6432, database tokens",
        ),
        ("postgres://u@localhost/tokens", "localhost:5432, database tokens"),
        ("postgresql://a:1,b:2/tokens", "a,b:1,2, database tokens"),
        ("postgresql:///tokens?host=/run/postgresql&port=5433", "/run/postgresql:5433, database"),
        ("postgresql://u:sesame@[::1]:5432/t?sslmode=require", "::1:5432, database t"),
    ],
)
def test_a_database_is_named_without_its_password(address: str, place: str) -> None:
    assert place in str(store_at(address, Seal()))
    assert "sesame" not in str(store_at(address, Seal()))
