"""The tap: settings in, streams out; the only place where all is wired together."""

from __future__ import annotations

import ctypes
import difflib
import fnmatch
import os
import sys
from contextlib import nullcontext
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn

import click
import msgspec
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.io_base import SingerWriter
from typing_extensions import override

from tap_quickbooks_raw import exclusive, settings
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    Interrupted,
    QuickBooksError,
    SettingsError,
)
from tap_quickbooks_raw.plan import MONTHLY_ALLOWANCE, report
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.state import check_state, load_json
from tap_quickbooks_raw.streams import RawStream
from tap_quickbooks_raw.token_stores import open_store

if TYPE_CHECKING:
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput
    from singer_sdk.singerlib.encoding.simple import Message

    from tap_quickbooks_raw.company import CompanyReader
    from tap_quickbooks_raw.following import Follower
    from tap_quickbooks_raw.planning import Task

M_ARENA_MAX = -8  # malloc.h of glibc
HELP = (
    "Settings come from --config files or, with --config=ENV, from TAP_QUICKBOOKS_RAW_... "
    "variables; --about lists them. Messages go to stdout, the log to stderr. Exit codes: 0 all "
    "done or stopped cleanly at a limit, 1 something was not loaded, 143 stopped by SIGTERM."
)
PLAN_HELP = (
    "Count, read nothing, and show what a run would read: rows, calls, minutes and the share of "
    "a monthly allowance, per stream. Costs two or three calls."
)
LIST_STREAMS = "`meltano select tap-quickbooks-raw --list --all` shows all"


class LineWriter(SingerWriter):
    """Writes whole lines, also while the pipe is full and signals arrive.

    Under PYTHONUNBUFFERED a write to stdout may end early without an error.
    """

    @override
    def write_message(self, message: Message) -> None:
        self.write_lines(self.format_message(message).encode() + b"\n")

    def write_lines(self, lines: bytes) -> None:
        """Write all bytes of some lines."""
        rest = memoryview(lines)
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()


class TapQuickBooksRaw(Tap):
    """Read every object of a QuickBooks Online company, whole and exact."""

    name = "tap-quickbooks-raw"
    package_name = "tap-quickbooks-raw"
    message_writer_class = LineWriter
    message_writer: LineWriter
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG_SCHEMA
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @override
    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add nothing: the SDK adds settings of stream maps, which work on dicts of values."""

    @cached_property
    def settings(self) -> settings.Settings:
        """The settings, ready for use."""
        return settings.parse(self.config)

    @cached_property
    def run(self) -> Run:
        """What all streams share; nothing is sent before the first stream begins."""
        return Run(self.settings)

    @cached_property
    def tasks(self) -> list[Task]:
        """What the selected streams have to read."""
        return [stream.task for stream in self.streams.values() if stream.selected]

    @property
    def follower(self) -> Follower:
        """What has changed in the selected streams."""
        return self.run.follower(self.tasks)

    @property
    def reader(self) -> CompanyReader:
        """The pages of those streams that are read by windows."""
        return self.run.reader(self.tasks)

    @override
    def discover_streams(self) -> list[RawStream]:
        return [RawStream(self, entity) for entity in ENTITIES]

    @property
    @override
    def streams(self) -> dict[str, RawStream]:  # type: ignore[override]  # All are of one class.
        return super().streams  # type: ignore[return-value]

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Take over bookmarks, unless they are of another company or unreadable."""
        check_state(state, self.config.get("realm_id"))
        if state.get("bookmarks") is not None:
            super().load_state(state)

    def stop(self, reason: QuickBooksError) -> NoReturn:
        """End the run now, with the state written and the exit code that says why."""
        self.state_writer.write_state(self.state)
        match reason:
            case Interrupted():
                self.run.conclude()
                self.logger.warning("Stopped (%s); the state is saved", reason)
                sys.exit(reason.exit_code)
            case BudgetReached():
                self.run.limit = reason
                sys.exit(self.finish())
            case _:
                self.run.conclude()
                self.logger.error("%s", reason)
                sys.exit(1)

    def finish(self) -> int:
        """Say what was done and what was not, and return the exit code."""
        self.run.is_over = True
        self.run.conclude()
        for stream, error in self.run.failures.items():
            self.logger.error("%s was not loaded completely: %s", stream, error)
        if self.run.limit is not None:
            self.logger.warning(
                "Stopped at a limit (%s); the state is saved, more is left for the next run",
                self.run.limit,
            )
        return 1 if self.run.failures else 0

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        try:
            self._config = settings.resolve(self._config)
            errors = settings.problems(self._config)
            if not errors:
                open_store(settings.parse(self._config))
        except SettingsError as error:
            errors = [str(error)]
        if errors and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=errors)
        return errors

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        # Only a flag: the SDK would write into a line that is half written.
        self.run.interrupt(signum)

    @override
    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.help = f"{cls.__doc__}\n\n{HELP}"
        command.params += [
            click.Option(["--plan"], is_flag=True, help=PLAN_HELP),
            click.Option(
                ["--allowance"],
                type=click.IntRange(min=1),
                default=MONTHLY_ALLOWANCE,
                show_default=True,
                help="Calls a month that --plan compares with.",
            ),
        ]
        return command

    @override
    @classmethod
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        plan: bool = False,
        allowance: int = MONTHLY_ALLOWANCE,
    ) -> None:
        if about:
            cls.print_about(about_format)
            return
        _share_one_heap()
        try:
            tap = cls(
                config=config.config if config else {},
                state=load_json(state, "state"),
                catalog=load_json(catalog, "catalog"),
                parse_env_config=config.parse_env if config else False,
            )
            tap.check_selection()
            # One that is refused, since another reads the company, is no run.
            with nullcontext() if plan else exclusive.load(tap.settings.realm_id, os.environ):
                exit_code = tap.work(plan=plan, allowance=allowance)
        except QuickBooksError as error:
            cls.logger.error("%s", error)  # noqa: TRY400  One line; a traceback says no more.
            exit_code = 1
        except BrokenPipeError:
            cls.logger.error("The loader has ended early; see its last lines")  # noqa: TRY400
            exit_code = 1
        sys.exit(exit_code)

    def work(self, *, plan: bool, allowance: int) -> int:
        """Plan or read, and return the exit code.

        Raises:
            BrokenPipeError: The loader has gone.
            SystemExit: The run was ended early.
        """
        try:
            if plan:
                self.run.command = "plan"
                sys.stdout.write(report(self.run, self.tasks, allowance=allowance))
                self.run.is_over = True
                return 0
            self.sync_all()
            return self.finish()
        except QuickBooksError as reason:
            self.stop(reason)
        finally:
            self.run.conclude()

    def check_selection(self) -> None:
        """Refuse a selection that asks for what does not exist, or for nothing.

        Meltano passes over a pattern in `select` that matches no stream without a word, but
        tells its plugins the patterns.
        """
        patterns = msgspec.json.decode(os.environ.get("MELTANO_EXTRACT__SELECT") or "[]")
        asked = {pattern.lstrip("!").partition(".")[0] for pattern in patterns}
        asked.update(self.input_catalog or ())
        unknown = sorted(name for name in asked if not fnmatch.filter(BY_STREAM, name))
        if unknown:
            near = difflib.get_close_matches(unknown[0], BY_STREAM, n=1)
            raise SettingsError(
                f"select: there is no stream {', '.join(unknown)}"
                + (f" (did you mean {near[0]}?)" if near else "")
                + f"; {LIST_STREAMS}"
            )
        if not any(stream.selected for stream in self.streams.values()):
            raise SettingsError(f"select: no stream is selected; {LIST_STREAMS}")


def _share_one_heap() -> None:
    """Let all threads allocate from one heap.

    glibc gives each thread a heap of its own, and pages of megabytes that wander from the
    reading threads to the writing one leave all of these heaps large: 8 readers took 275 MB
    where 140 MB do.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


main = TapQuickBooksRaw.cli


def plan() -> None:
    """Show the plan; the command `tap-quickbooks-raw-plan`."""
    main(["--plan", *sys.argv[1:]], prog_name="tap-quickbooks-raw-plan")
