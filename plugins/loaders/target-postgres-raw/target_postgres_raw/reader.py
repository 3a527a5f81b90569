"""Singer's lines: a RECORD is taken apart once, its values stay the bytes that were sent."""

from __future__ import annotations

import json
import os
import select
import sys
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from singer_sdk.io_base import GenericSingerReader, SingerMessageType
from singer_sdk.singerlib.exceptions import InvalidInputLine
from singer_sdk.singerlib.json import deserialize_json
from typing_extensions import override

from target_postgres_raw.failures import clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_BYTES = 1 << 20


class RecordLine(msgspec.Struct):
    """A RECORD message; what else such a line has is not looked at."""

    type: Literal["RECORD"]
    stream: str
    record: dict[str, msgspec.Raw]


class _Properties(msgspec.Struct):
    properties: Annotated[dict[str, dict[str, Any]], msgspec.Meta(min_length=1)]


class _SchemaLine(msgspec.Struct):
    stream: str
    schema: _Properties
    key_properties: list[str] | None = None


class _StateLine(msgspec.Struct):
    value: Any


class _ActivateVersionLine(msgspec.Struct):
    stream: str
    version: int


class _BatchLine(msgspec.Struct):
    stream: str
    encoding: dict[str, Any]
    manifest: list[str]


# What must be true of a message for the SDK to take it.
FORMS: dict[str, type[msgspec.Struct]] = {
    SingerMessageType.SCHEMA: _SchemaLine,
    SingerMessageType.STATE: _StateLine,
    SingerMessageType.ACTIVATE_VERSION: _ActivateVersionLine,
    SingerMessageType.BATCH: _BatchLine,
}
_decode_record = msgspec.json.Decoder(RecordLine).decode


class LineReader(GenericSingerReader[bytes]):
    """Reads lines as they come, looks up when none come, and stops when it is told to.

    Attributes:
        line: The line that is being processed.
        give_up: Is called when a line could not be processed.
        tick: Is called whenever there is nothing to read; returns after how many seconds it
            wants to be called again, or None.
        stopped: Whether reading ends before the next line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.line = b""
        self.tick: Callable[[], float | None] = _never
        self.give_up: Callable[[], None] = lambda: None
        self.stopped = False
        self._awake, self._alarm = os.pipe()
        os.set_blocking(self._alarm, False)

    def __del__(self) -> None:
        os.close(self._awake)
        os.close(self._alarm)

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    def wake(self) -> None:
        """Have `tick` called soon; may be called by signal handlers and by threads."""
        with suppress(BlockingIOError):  # It is full of calls that are not answered yet.
            os.write(self._alarm, b"!")

    def stop(self) -> None:
        """Have reading end before the next line."""
        self.stopped = True
        self.wake()

    @override
    def process_lines(
        self,
        file_input: IO[bytes] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],
    ) -> Counter[str]:
        try:
            return self._process(file_input or self.default_input, callbacks)
        except Exception:
            self.give_up()
            raise

    def _process(
        self, source: IO[bytes], callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        records = 0
        take_record: Callable[[Any], None] = callbacks[SingerMessageType.RECORD]
        for line in self._lines(source):
            if self.stopped:
                break
            self.line = line
            try:
                record = _decode_record(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                why = str(error)
            except RecursionError:
                raise InvalidInputLine(f"Nested too deeply: {_quote(line)}") from None
            else:
                take_record(record)
                records += 1
                continue
            counts[self._take(line, why, callbacks)] += 1
        counts[SingerMessageType.RECORD] += records
        return counts

    def _take(
        self, line: bytes, why: str, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> str:
        """Process a line as the SDK does; `why` says what it lacks to be a RECORD."""
        if not line.strip():
            return ""
        message = self.deserialize_json(line)
        self.assert_line_requires(message, {"type"})
        kind = message["type"]
        if kind == SingerMessageType.RECORD:
            raise InvalidInputLine(f"No RECORD message ({why}): {_quote(line)}")
        form = FORMS.get(kind) if isinstance(kind, str) else None
        if form is None:
            raise InvalidInputLine(f"Unknown message type: {_quote(line)}")
        try:
            msgspec.convert(message, form)
        except msgspec.ValidationError as error:
            raise InvalidInputLine(f"No {kind} message ({error}): {_quote(line)}") from None
        callbacks[kind](message)
        return str(kind)

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        try:
            message = deserialize_json(line)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInputLine(f"Not a line of JSON ({error}): {_quote(line)}") from None
        if not isinstance(message, dict):
            raise InvalidInputLine(f"No Singer message: {_quote(line)}")
        return message

    def _lines(self, source: IO[bytes] | IO[str]) -> Iterator[bytes]:
        try:
            number = source.fileno()
        except (AttributeError, OSError):
            for line in source:
                yield line.encode() if isinstance(line, str) else line
            return
        start: list[bytes] = []
        while data := self._read(number):
            *lines, rest = data.split(b"\n")
            if lines:
                start.append(lines[0])
                lines[0] = b"".join(start)
                yield from lines
                start = []
            start.append(rest)
        if last := b"".join(start):
            yield last

    def _read(self, number: int) -> bytes:
        """Wait for input; nothing is the end of it, or of reading."""
        while not self.stopped:
            ready, _, _ = select.select([number, self._awake], [], [], self.tick())
            if self._awake in ready:
                os.read(self._awake, READ_BYTES)
            elif number in ready:
                return os.read(number, READ_BYTES)
        return b""


def _never() -> float | None:
    return None


def _quote(line: bytes) -> str:
    return clip(line.decode(errors="replace"))
