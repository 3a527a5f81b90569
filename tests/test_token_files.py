"""Tokens in a file: for one's own eyes, and on disk before anyone relies on them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from tap_quickbooks_raw.exceptions import TokenStoreError
from tap_quickbooks_raw.token_files import FileTokenStore
from tap_quickbooks_raw.tokens import Token, TokenKey

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


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b" ",
            b"{",
            b"[]",
            b"null",
            b'{"app/1": 5}',
            b'{"app/1": {}}',
            b"\x00",
            b"\xff\xfe\x00",
        ),
        b'{"app/1": {"refresh_token": "\xff"}}',
        b'{"app/1": {"sealed": "\xff"}}',
        b'{"\xff": {}}',
        b'{"app/1": ' + b"[" * 99_999,
    ],
    ids=lambda content: repr(content[:40]),
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


@pytest.mark.parametrize("length", [1, 40, -1])
def test_a_file_that_was_cut_is_damaged(store: FileTokenStore, path: Path, length: int) -> None:
    store.save(KEY, TOKEN)
    path.write_bytes(path.read_bytes().rstrip()[:length])

    with pytest.raises(TokenStoreError, match="is damaged"):
        store.load(KEY)


@pytest.mark.parametrize("mode", [0o000, 0o200], ids=["nothing", "write-only"])
def test_a_file_that_cannot_be_read_is_named_and_stays(
    store: FileTokenStore, path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    store.save(KEY, TOKEN)
    content = path.read_bytes()
    path.chmod(mode)
    if os.geteuid() == 0:  # Whom no mode keeps out.

        def denied(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "read_bytes", denied)

    for use in (lambda: store.load(KEY), lambda: store.save(KEY, TOKEN), store.keys):
        with pytest.raises(TokenStoreError, match=r"cannot be used \(Permission denied\)"):
            use()
    monkeypatch.undo()
    path.chmod(0o600)
    assert path.read_bytes() == content


def test_what_a_killed_process_left_is_gone_after_the_next_save(
    store: FileTokenStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a live token in it."""

    class Killed(BaseException):
        pass

    def killed(self: Path, target: Path) -> Path:
        raise Killed(self, target)

    store.save(KEY, TOKEN)
    files = sorted(path.parent.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        for _ in range(3):
            with pytest.raises(Killed):
                store.save(KEY, Token(refresh_token="refresh-2"))
    left = set(path.parent.iterdir()) - set(files)
    assert len(left) == 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in left} == {0o600}

    store.save(KEY, TOKEN)

    assert sorted(path.parent.iterdir()) == files
    assert store.load(KEY) == TOKEN


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
