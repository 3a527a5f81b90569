"""The target: settings, and the way of a message."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from singer_sdk.exceptions import (
    ConfigValidationError,
    RecordsWithoutSchemaException,
    SingerSDKError,
)
from singer_sdk.singerlib.exceptions import SingerError
from sqlalchemy.exc import SQLAlchemyError
from target_postgres.target import TargetPostgres
from typing_extensions import override

from target_postgres_raw.chunk import Chunk
from target_postgres_raw.connector import make_connector
from target_postgres_raw.failures import LoadError, clip, database_error, in_words
from target_postgres_raw.memory import keep_small
from target_postgres_raw.reader import LineReader, RecordLine
from target_postgres_raw.session import Session
from target_postgres_raw.settings import (
    DEFAULT_BYTES,
    DEFAULT_ROWS,
    DEFAULT_SECONDS,
    OWN_SETTINGS,
)
from target_postgres_raw.sinks import Prepared, RawSink
from target_postgres_raw.writer import Writer

if TYPE_CHECKING:
    from types import FrameType

    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from target_postgres_raw.connector import RawConnector

SWITCH_SECONDS = 0.0005
# Whatever comes from outside: the settings, the tap, the database, and the files of a BATCH.
FAILURES = (LoadError, SingerError, SingerSDKError, SQLAlchemyError, psycopg.Error, OSError)


class TargetPostgresRaw(TargetPostgres):
    """Loads PostgreSQL; records stay bytes, and the newest version wins."""

    name = "target-postgres-raw"
    package_name = "target-postgres-raw"
    default_sink_class = RawSink
    message_reader_class = LineReader
    message_reader: LineReader
    _target_connector: RawConnector | None = None
    config_jsonschema: ClassVar[dict[str, Any]] = {
        **TargetPostgres.config_jsonschema,
        "properties": {
            **TargetPostgres.config_jsonschema["properties"],
            **OWN_SETTINGS["properties"],
        },
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except AssertionError as error:  # The stock loader's, for settings that do not fit.
            raise ConfigValidationError(str(error), errors=[str(error)]) from None
        self._rows: int = self.config.get("batch_size_rows") or DEFAULT_ROWS
        self._bytes: int = self.config.get("batch_size_bytes") or DEFAULT_BYTES
        seconds = self.config.get("batch_size_seconds")
        self._seconds: float = DEFAULT_SECONDS if seconds is None else float(seconds)
        self._chunk = Chunk()
        self._prepared: dict[str, Prepared] = {}
        self._validators: dict[str, BaseJSONSchemaValidator] = {}
        self._current_writer: Writer | None = None
        self.message_reader.tick = self._tick
        self.message_reader.give_up = self._give_up

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        # The writing thread needs the interpreter but for moments between its waits; while lines
        # are read it would get it 5 ms later each time.
        sys.setswitchinterval(SWITCH_SECONDS)
        keep_small()
        try:
            super().invoke(**options)
        except ConfigValidationError:
            raise  # The SDK has the words.
        except FAILURES as failure:
            error = database_error(failure)
            cls.logger.critical(in_words(error, "Loading") if error else clip(str(failure)))
            sys.exit(1)

    @property
    @override
    def target_connector(self) -> RawConnector:
        if self._target_connector is None:
            self._target_connector = make_connector(dict(self.config))
            # With a tunnel it takes the signals for itself.
            self._setup_signal_handlers()
        return self._target_connector

    @property
    def _writer(self) -> Writer:
        if self._current_writer is None:
            self._current_writer = Writer(
                Session(self.target_connector.engine),
                tell=self._write_state_message,
                wake=self.message_reader.wake,
                logger=self.logger,
            )
        return self._current_writer

    @override
    def _process_record_message(self, message_dict: RecordLine | dict[str, Any]) -> None:
        message: Any = message_dict  # The reader's, see there.
        # Before the record, so that a state that has come since is that of the batch.
        self._write_if_due()
        prepared = self._prepared.get(message.stream)
        if prepared is None:
            self._process_stock_record(message.stream)
        else:
            if self._validators:
                self._validate(message.stream)
            self._chunk.add(prepared.table, prepared.layouts, message.record)

    def _process_stock_record(self, stream: str) -> None:
        if stream not in self._sinks_active and stream not in self.mapper.stream_maps:
            raise RecordsWithoutSchemaException(
                f"Stream {stream}: a record came before the stream's schema."
            )
        line = self.message_reader.line
        try:
            super()._process_record_message(self.message_reader.deserialize_json(line))
        except ValueError as error:  # The stock loader's, for a moment that is none.
            raise LoadError(f"Stream {stream}: {clip(str(error))}") from error
        self._chunk.count(len(line))

    def _validate(self, stream: str) -> None:
        if validator := self._validators.get(stream):
            line = self.message_reader.line
            validator.validate(self.message_reader.deserialize_json(line)["record"])

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        super()._process_schema_message(message_dict)
        stream = message_dict["stream"]
        sink = self._sinks_active.get(stream)
        prepared = sink.prepared if isinstance(sink, RawSink) else None
        if (stream in self._prepared) != (prepared is not None):
            self._write()  # What came the other way comes first.
        self._prepared.pop(stream, None)
        self._validators.pop(stream, None)
        if isinstance(sink, RawSink) and prepared:
            self._prepared[stream] = prepared
            if sink.validator:
                self._validators[stream] = sink.validator

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        self._chunk.note(message_dict["value"])

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        self._assert_sink_exists(message_dict["stream"])
        self._write()
        self._writer.wait()
        super()._process_activate_version_message(message_dict)

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        stream = message_dict["stream"]
        self._assert_sink_exists(stream)
        if stream in self._prepared and any(self._prepared[stream].table.guards):
            raise LoadError(
                f"Stream {stream}: its tap sends BATCH messages, which are loaded without "
                "guards. Unset the tap's batch_config, or version_columns, content_columns and "
                "tombstone_column here."
            )
        self._write()
        self._writer.wait()
        try:
            super()._process_batch_message(message_dict)
        except NotImplementedError as error:
            raise LoadError(f"Stream {stream}: {error}") from None

    @override
    def _handle_max_record_age(self) -> None:
        """Nothing: batches have an age of their own, and state goes out behind them only."""

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(state, default=float) + "\n")
            sys.stdout.flush()
        except OSError as error:
            # What is left in there would be tried again at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise LoadError(
                f"The state cannot be told: standard output says {error.strerror}. "
                "The rows are committed; the next run repeats them."
            ) from error

    def _write_if_due(self) -> None:
        chunk = self._chunk
        if (
            chunk.rows >= self._rows
            or chunk.size >= self._bytes
            or (chunk.started and time.monotonic() - chunk.started >= self._seconds)
        ):
            self._write()

    def _write(self) -> None:
        """Hand the chunk over, once the one before it is written."""
        chunk, self._chunk = self._chunk, Chunk()
        if chunk.started is None:
            return
        stock = [*self._sinks_to_clear, *self._sinks_active.values()]
        if any(sink.current_size for sink in stock):
            self._writer.wait()
            for sink in stock:
                self.drain_one(sink)
        self._clear()
        for prepared in self._prepared.values():
            self._count(prepared, chunk)
        self._writer.write(chunk)

    def _clear(self) -> None:
        for sink in self._sinks_to_clear:
            sink.clean_up()
        self._sinks_to_clear = []

    def _count(self, prepared: Prepared, chunk: Chunk) -> None:
        stream = prepared.layouts.stream
        if runs := chunk.runs.get(prepared.table):
            rows = sum(len(run.rows) for run in runs)
            if sink := self._sinks_active.get(stream):  # Not one whose schema has been refused.
                sink.record_counter_metric.increment(rows)
        unknown = {name for name in prepared.layouts.ignored if not name.startswith("_sdc_")}
        if unknown:
            self.logger.warning(
                "Stream %s: not in its schema, so not loaded: %s", stream, ", ".join(unknown)
            )
            prepared.layouts.ignored.clear()

    def _tick(self) -> float | None:
        """What is to be done while nothing comes; returns when there will be more of it."""
        if self._current_writer:
            self._current_writer.check()
        self._write_if_due()
        if self._chunk.started is None:
            return None
        return max(0.0, self._chunk.started + self._seconds - time.monotonic())

    def _give_up(self) -> None:
        """Write what came before a line that cannot be processed, unless writing has failed."""
        try:
            self._write()
            self._writer.wait()
        except FAILURES:
            self.logger.debug("The last batch is not written.", exc_info=True)
        finally:
            self._close()

    @override
    def process_endofpipe(self) -> None:
        if self.message_reader.stopped:
            self.logger.info("Told to stop: writing the last batch.")
        try:
            self._write()
            self._writer.wait()
            self._clear()
            for sink in self._sinks_active.values():
                sink.clean_up()
        finally:
            self._close()

    def _close(self) -> None:
        if self._current_writer:
            self._current_writer.close()
            self._current_writer = None
        if self._target_connector is not None:
            self._target_connector.engine.dispose()

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Read no more; `process_endofpipe` does the rest, as at the end of input."""
        self.message_reader.stop()
