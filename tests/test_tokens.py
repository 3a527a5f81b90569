"""Tokens are kept for one's own eyes, whole, and on disk before anyone relies on them."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.token_stores import FORMS, store_at
from tap_quickbooks_raw.tokens import Token, TokenKey, fingerprint

KEY = TokenKey("app", "1185883450")
TOKEN = Token(
    refresh_token="refresh-1",
    access_token="access-1",
    expires_at=1.5e9,
    refreshed_at=1.4e9,
    seed="seed",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "tokens.json"


@pytest.fixture
def store(path: Path) -> FileTokenStore:
    return FileTokenStore(path)


def test_tokens_come_back_as_they_were_saved(store: FileTokenStore, path: Path) -> None:
    assert store.load(KEY) is None

    store.save(KEY, TOKEN)

    assert FileTokenStore(path).load(KEY) == TOKEN


def test_each_company_and_each_app_has_its_own_tokens(store: FileTokenStore) -> None:
    keys = [KEY, TokenKey("app", "9341453000000001"), TokenKey("other", KEY.realm_id)]
    for number, key in enumerate(keys):
        store.save(key, Token(refresh_token=f"refresh-{number}"))

    assert [f"refresh-{number}" for number in range(3)] == [
        token.refresh_token for key in keys if (token := store.load(key))
    ]


def test_only_the_owner_may_read(store: FileTokenStore, path: Path) -> None:
    mask = os.umask(0)
    try:
        with store.lock(KEY):
            store.save(KEY, TOKEN)
    finally:
        os.umask(mask)

    modes = {entry: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_was_open_to_others_is_closed_by_the_next_save(
    store: FileTokenStore, path: Path
) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.chmod(0o644)

    store.save(KEY, TOKEN)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_save_is_on_disk_before_the_old_file_is_replaced(
    store: FileTokenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    store.save(KEY, TOKEN)

    assert done == ["file", "replace", "folder"]
    assert path.exists()


def test_a_failed_save_keeps_the_old_tokens_and_leaves_no_copy(
    store: FileTokenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(KEY, TOKEN)
    before = sorted(path.parent.iterdir())

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TokenStoreError, match="No space left on device"):
        store.save(KEY, Token(refresh_token="refresh-2"))

    assert store.load(KEY) == TOKEN
    assert sorted(path.parent.iterdir()) == before


def test_saves_at_the_same_time_do_not_lose_each_others_tokens(store: FileTokenStore) -> None:
    keys = [TokenKey("app", str(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.save(key, TOKEN), keys))

    assert all(store.load(key) == TOKEN for key in keys)


def test_the_lock_of_one_company_does_not_hold_up_another(store: FileTokenStore) -> None:
    with store.lock(KEY), store.lock(TokenKey("app", "2")):
        store.save(KEY, TOKEN)


def test_a_lock_is_given_back_after_an_error(store: FileTokenStore) -> None:
    with pytest.raises(ZeroDivisionError), store.lock(KEY):
        _ = 1 / 0

    with store.lock(KEY):
        pass


@pytest.mark.parametrize(
    "content",
    [b"", b" ", b"{", b"[]", b"null", b'{"app/1": 5}', b'{"app/1": {}}', b"\xff\xfe\x00", b"\x00"],
    ids=repr,
)
def test_a_damaged_file_is_an_error_in_one_line_and_stays(
    store: FileTokenStore, path: Path, content: bytes
) -> None:
    """Never read as "no tokens": the next save would then overwrite what can be rescued."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    for use in (lambda: store.load(KEY), lambda: store.save(KEY, TOKEN)):
        with pytest.raises(TokenStoreError, match="is damaged") as raised:
            use()
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == content


def test_a_damaged_file_is_not_quoted(store: FileTokenStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text('{"app/1": {"refresh_token": ["very-secret"]}}')

    with pytest.raises(TokenStoreError) as raised:
        store.load(KEY)
    assert "very-secret" not in f"{raised.value}{raised.value.__cause__}"


def test_a_store_that_is_a_folder_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path)

    with pytest.raises(TokenStoreError, match=r"^token_store: "):
        store.load(KEY)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a place where nobody may write")
def test_a_store_where_nobody_may_write_is_an_error_that_names_the_setting() -> None:
    store = FileTokenStore(Path("/proc/tokens.json"))

    with pytest.raises(TokenStoreError, match=r"^token_store: "), store.lock(KEY):
        pass
    with pytest.raises(TokenStoreError, match=r"^token_store: "):
        store.save(KEY, TOKEN)


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
        ("file://[", f"Invalid IPv6 URL; {FORMS}"),
        ("file:///a%00b", f"embedded null byte; {FORMS}"),
    ],
)
def test_an_address_of_no_known_kind_is_refused(address: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        store_at(address, Seal())
    assert str(raised.value) == f"token_store: {message}"


def test_tokens_are_hidden_from_sight() -> None:
    assert "refresh-1" not in f"{TOKEN} {TOKEN!r} {[TOKEN]}"
    assert "access-1" not in f"{TOKEN} {TOKEN!r} {[TOKEN]}"
    assert "refresh-1" not in fingerprint("refresh-1")
    assert fingerprint("refresh-1") != fingerprint("refresh-2")
