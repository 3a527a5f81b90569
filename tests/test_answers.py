"""What cannot be stored is mended on the bytes; everything else arrives as it was sent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tap_quickbooks_raw.answers import decode, http_date, mend

JSON = "application/json;charset=UTF-8"
LONE = re.compile("[\ud800-\udfff\x00]")
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*\\u)([0-9a-f]{4})")


def mended(text: str) -> str:
    """A JSON string literal, mended and read."""
    value = json.loads(mend(f'"{text}"'.encode()))
    assert isinstance(value, str)
    return value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"\u0000", "�"),
        (r"a\u0000b", "a�b"),
        (r"\u0000\u0000", "��"),
        (r"\\u0000", r"\u0000"),
        (r"\\\u0000", "\\�"),
        (r"\\\\u0000", r"\\u0000"),
        (r"\u0001", "\x01"),
        (r"\u00001", "�1"),
        (r"\ud83d", "�"),
        (r"\ude00", "�"),
        (r"\uD83D", "�"),
        (r"\uDE00", "�"),
        (r"\ud83d!", "�!"),
        (r"!\ude00", "!�"),
        (r"\ud83d\ude00", "😀"),
        (r"\uD83D\uDE00", "😀"),
        (r"\ude00\ud83d", "��"),
        (r"\ud83d\ud83d\ude00", "�😀"),
        (r"\ud83d\ude00\ude00", "😀�"),
        (r"\ud83d\ud83d", "��"),
        (r"\ud83d\u0000", "��"),
        (r"\ud83d\u0041", "�A"),
        (r"\ud83d\\ude00", "�\\ude00"),
        (r"\\ud83d\ude00", "\\ud83d�"),
        (r"\ud83d\"", '�"'),
        (r"\ud83d\n", "�\n"),
        (r"\ud7ff\ue000", "\ud7ff\ue000"),
        (r"\udbff\udfff", "\U0010ffff"),
        (r"\ud800\udc00", "\U00010000"),
        (r"\u2028\u2029", "\u2028\u2029"),
        (r"\n\r\t", "\n\r\t"),
    ],
    ids=ascii,
)
def test_nul_and_lone_surrogates_become_one_replacement_each(text: str, read: str) -> None:
    assert mended(text) == read


def test_keys_are_mended_too() -> None:
    assert json.loads(mend(rb'{"\u0000\ud83d": 1}')) == {"��": 1}


@pytest.mark.parametrize("character", ["😀", "\u2028", "\u2029", "\x85", "é", "\ufffd", "\ufeff"])
def test_letters_beyond_ascii_stay_the_same_bytes(character: str) -> None:
    body = f'{{"a": "{character}"}}'.encode()

    assert mend(body, JSON) == body


def test_line_breaks_between_tokens_become_blanks() -> None:
    """A Singer message is one line."""
    body = b'{\r\n  "a": [\n1,\r2\n]\n}\n'

    assert mend(body) == b'{    "a": [ 1, 2 ] } '


def test_a_sound_body_is_not_copied() -> None:
    body = b'{"a": "b"}'

    assert mend(body) is body


# ---- Charsets


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("Müller".encode(), JSON, "Müller"),
        ("Müller".encode(), "application/json", "Müller"),
        ("Müller".encode(), "application/json;charset=ISO-8859-1", "Müller"),
        ("Müller".encode("latin-1"), "application/json", "Müller"),
        ("Müller".encode("latin-1"), "application/json; charset=ISO-8859-1", "Müller"),
        ("Müller €".encode("cp1252"), 'application/json; charset="windows-1252"', "Müller €"),
        ("Müller".encode("latin-1"), JSON, "M�ller"),
        ("Müller".encode("latin-1"), "application/json;charset=nonsense", "M�ller"),
        ("Müller".encode("latin-1"), "application/json;charset=undefined", "M�ller"),
        ("Müller".encode("latin-1"), "application/json;charset=hex", "M�ller"),
        (b"a\xed\xa0\x80b", JSON, "a���b"),
    ],
    ids=[
        "utf-8",
        "utf-8-undeclared",
        "utf-8-declared-as-latin-1",
        "latin-1-undeclared",
        "latin-1-declared",
        "windows-1252-declared",
        "latin-1-declared-as-utf-8",
        "unknown-charset",
        "charset-that-always-fails",
        "charset-of-no-text",
        "surrogate-as-bytes",
    ],
)
def test_bytes_are_read_by_their_charset(body: bytes, content_type: str, text: str) -> None:
    assert json.loads(mend(b'"' + body + b'"', content_type)) == text


@pytest.mark.parametrize("text", ["plain", "Müller"])
def test_a_byte_order_mark_is_taken_off(text: str) -> None:
    body = json.dumps({"QueryResponse": {"a": text}}, ensure_ascii=False).encode("utf-8-sig")

    assert decode(body).query == {"a": msgspec.Raw(json.dumps(text, ensure_ascii=False).encode())}


# ---- Any document

AWKWARD = '\x00 \ud800 \udbff \udc00 \udfff \ud83d \ude00 \\ u 0 d 8 " \n \r \t é 😀 \u2028 / \x7f'
texts = st.lists(st.sampled_from([*AWKWARD.split(" "), " "]), max_size=12).map("".join)
documents: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=12,
)


def read(text: str | bytes) -> object:
    """Read JSON with objects as lists of pairs, as mended keys may be equal."""
    return json.loads(text, object_pairs_hook=list)


def promised(value: object) -> object:
    """What is to arrive."""
    match value:
        case str():
            return LONE.sub("�", value)
        case list():
            return [promised(item) for item in value]
        case tuple():
            return tuple(promised(item) for item in value)
        case _:
            return value


@settings(max_examples=400)
@given(document=documents, indent=st.sampled_from((None, 0, 2)), upper=st.booleans())
def test_any_escaped_document_keeps_everything_else(
    document: object, *, indent: int | None, upper: bool
) -> None:
    text = json.dumps(document, indent=indent)
    if upper:
        text = ESCAPE.sub(lambda found: found[1] + found[2].upper(), text)

    body = mend(text.encode())

    assert read(body) == promised(read(text))
    assert len(body.splitlines()) == 1
    msgspec.json.decode(body)


@given(document=documents, charset=st.sampled_from(("utf-8", "utf-8-sig", "latin-1")))
def test_any_unescaped_document_keeps_everything_else(document: object, charset: str) -> None:
    text = SURROGATE.sub("?", json.dumps(document, ensure_ascii=False))
    if charset == "latin-1":
        text = text.encode(charset, "replace").decode(charset)

    body = mend(text.encode(charset), f"application/json; charset={charset}")

    assert read(body) == promised(read(text))


@given(
    number=st.from_regex(
        re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII),
        fullmatch=True,
    )
)
def test_numbers_keep_their_digits(number: str) -> None:
    body = f'{{"QueryResponse": {{"Item": [{{"Qty": {number} }}]}}}}'.encode()

    query = decode(body).query

    assert query is not None
    assert bytes(query["Item"]) == f'[{{"Qty": {number} }}]'.encode()


# ---- Envelopes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"QueryResponse": {"Term": [{"Id": "1"',
        b'{"QueryResponse": {}} and more',
        b"<html></html>",
        b"[]",
        b"null",
        b"7",
        b'{"QueryResponse": []}',
        b'{"QueryResponse": {"a": "\x00"}}',
        b'{"QueryResponse": {"a": "\xff',
        b'{"QueryResponse": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body)


@pytest.mark.parametrize(
    ("body", "carries"),
    [
        (b'{"QueryResponse": {}}', True),
        (b'{"BatchItemResponse": []}', True),
        (b'{"QueryResponse": null}', False),
        (b"{}", False),
        (b'{"time": 5}', False),
        (b'{"Fault": {"Error": []}}', False),
        (b'{"QueryResponse": {}, "Fault": {"type": "x"}}', False),
        (b'{"QueryResponse": {}, "fault": {"type": "x"}}', False),
        (b'{"QueryResponse": {}, "fault": null}', True),
        (b'{"QueryResponse": {"Fault": {}}}', False),
    ],
)
def test_only_an_answer_without_a_fault_carries_data(body: bytes, *, carries: bool) -> None:
    assert decode(body).carries_data is carries


NOON = datetime(2024, 7, 1, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "clock"),
    [
        ('"2024-07-01T12:00:00.000-07:00"', NOON),
        ('"2024-07-01T19:00:00Z"', NOON),
        ("1719860400000", NOON),
        ('"2024-07-01T12:00:00"', None),
        ('"noon"', None),
        ('""', None),
        ("null", None),
        ("99999999999999999999", None),
        ("-99999999999999999", None),
        ('"0001-01-01T00:00:00+14:00"', None),
    ],
)
def test_the_clock_is_read_in_both_spellings(time: str, clock: datetime | None) -> None:
    assert decode(b'{"time": %b}' % time.encode()).clock == clock


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Mon, 01 Jul 2024 19:00:00 GMT", NOON),
        ("Mon, 01 Jul 2024 12:00:00 -0700", NOON),
        ("Mon, 01 Jul 2024 19:00:00", NOON),
        ("Mon, 01 Jul 2024 19:00:00 -0000", NOON),
        ("20", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 99 Foo 99999 99:99:99 +999999", None),
    ],
)
def test_dates_in_headers_are_read_or_left(header: str | None, moment: datetime | None) -> None:
    assert http_date(header) == moment
