"""Tokens at rest are readable with the key only, and keys can be changed."""

from __future__ import annotations

import msgspec
import pytest
from tap_quickbooks_raw.exceptions import SettingsError, TokenStoreError
from tap_quickbooks_raw.sealing import Seal, new_key
from tap_quickbooks_raw.token_stores import store_at
from tap_quickbooks_raw.tokens import Token, TokenKey

KEY = TokenKey("app", "1185883450")
TOKEN = Token(refresh_token="refresh-1", access_token="access-1", expires_at=1.5e9, seed="seed")
OLD, NEW, OTHER = (new_key() for _ in range(3))


def test_sealed_tokens_show_nothing() -> None:
    content = Seal(OLD).close(TOKEN)

    assert list(msgspec.json.decode(content)) == ["sealed"]
    assert b"refresh" not in content
    assert b"seed" not in content
    assert Seal(OLD).open(content) == TOKEN


def test_the_same_tokens_never_look_the_same() -> None:
    assert Seal(OLD).close(TOKEN) != Seal(OLD).close(TOKEN)


def test_without_a_key_tokens_are_plain() -> None:
    assert not Seal().encrypts
    assert Seal(OLD).encrypts
    assert msgspec.json.decode(Seal().close(TOKEN), type=Token) == TOKEN


@pytest.mark.parametrize(
    "keys",
    [f"{NEW},{OLD}", f"{NEW} {OLD}", f" {NEW} ,\n{OLD},"],
    ids=["comma", "blank", "more of both"],
)
def test_the_first_key_seals_and_all_of_them_open(keys: str) -> None:
    both = Seal(keys)

    assert both.open(Seal(OLD).close(TOKEN)) == TOKEN
    assert Seal(NEW).open(both.close(TOKEN)) == TOKEN
    with pytest.raises(TokenStoreError):
        Seal(OLD).open(both.close(TOKEN))


@pytest.mark.parametrize("key", [OTHER, f"{NEW},{OTHER}"], ids=["one", "two"])
def test_a_wrong_key_is_an_error_that_says_what_to_do(key: str) -> None:
    with pytest.raises(TokenStoreError, match=r"^token_encryption_key: opens none") as raised:
        Seal(key).open(Seal(OLD).close(TOKEN))
    assert key not in str(raised.value)


def test_a_missing_key_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TokenStoreError, match=r"^token_encryption_key: is missing"):
        Seal().open(Seal(OLD).close(TOKEN))


@pytest.mark.parametrize(
    "key",
    [
        "very-secret",
        OLD[:-1],
        OLD[:-2],
        OLD + "A",
        OLD * 2,
        "\u00e9" * 44,
        "!" * 44,
        f"{OLD};{NEW}",
        f"{NEW},very-secret",
    ],
    ids=["word", "43", "42", "45", "88", "accents", "signs", "semicolon", "second"],
)
def test_what_is_no_key_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(SettingsError, match=r"^token_encryption_key: .*44 characters") as raised:
        Seal(key)
    said = f"{raised.value} {raised.value.__cause__}"
    assert key not in said
    assert "very-secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize("keys", ["", " ", ",", "\n"])
def test_no_key_is_no_error(keys: str) -> None:
    assert not Seal(keys).encrypts


@pytest.mark.parametrize("cut", [slice(-1), slice(10, None), slice(0)], ids=["end", "start", "all"])
def test_damaged_tokens_are_not_opened(cut: slice) -> None:
    sealed = msgspec.json.decode(Seal(OLD).close(TOKEN))["sealed"]
    content = msgspec.json.encode({"sealed": sealed[cut]})

    with pytest.raises(TokenStoreError, match="opens none"):
        Seal(OLD).open(content)


@pytest.mark.parametrize("text", ["\u00e9", "\u2028", "A" * 999, "gAAA=", "\x00"])
def test_what_never_was_sealed_is_not_opened(text: str) -> None:
    with pytest.raises(TokenStoreError, match="opens none"):
        Seal(OLD).open(msgspec.json.encode({"sealed": text}))


def test_each_changed_byte_is_noticed() -> None:
    sealed = msgspec.json.decode(Seal(OLD).close(TOKEN))["sealed"].encode()
    for place in range(0, len(sealed) - 4, 7):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(TokenStoreError):
            Seal(OLD).open(msgspec.json.encode({"sealed": changed.decode()}))


def test_what_was_sealed_in_another_form_is_damaged() -> None:
    """By another program, with the right key."""
    seal = Seal(OLD)
    assert seal._fernet is not None
    content = msgspec.json.encode({"sealed": seal._fernet.encrypt(b"very-secret").decode()})

    with pytest.raises(msgspec.DecodeError) as raised:
        seal.open(content)
    assert "very-secret" not in str(raised.value)


def test_plain_tokens_are_sealed_by_the_next_save(store_address: str) -> None:
    store_at(store_address, Seal()).save(KEY, TOKEN)
    sealing = store_at(store_address, Seal(OLD))
    assert sealing.load(KEY) == TOKEN

    sealing.save(KEY, TOKEN)

    assert sealing.load(KEY) == TOKEN
    with pytest.raises(TokenStoreError, match="is missing"):
        store_at(store_address, Seal()).load(KEY)


def test_a_new_key_takes_over_with_each_save(store_address: str) -> None:
    """The old one may be forgotten once every company was saved."""
    other = TokenKey("app", "2")
    for key in (KEY, other):
        store_at(store_address, Seal(OLD)).save(key, TOKEN)
    both = store_at(store_address, Seal(f"{NEW},{OLD}"))

    both.save(KEY, TOKEN)

    new = store_at(store_address, Seal(NEW))
    assert new.load(KEY) == both.load(other) == TOKEN
    with pytest.raises(TokenStoreError, match="opens none"):
        new.load(other)


def test_a_save_with_one_key_leaves_what_it_cannot_read(store_address: str) -> None:
    """Companies may have keys of their own."""
    other = TokenKey("app", "2")
    store_at(store_address, Seal(OLD)).save(KEY, TOKEN)
    store_at(store_address, Seal(NEW)).save(other, TOKEN)
    store_at(store_address, Seal()).save(TokenKey("app", "3"), TOKEN)

    assert store_at(store_address, Seal(OLD)).load(KEY) == TOKEN
    assert store_at(store_address, Seal(NEW)).load(other) == TOKEN
