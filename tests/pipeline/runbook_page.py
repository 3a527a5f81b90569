"""The commands of the runbook, and what it shows of their output.

Every ``console`` block of the page is a part of the test: each line that begins with ``$`` is a
command of bash, and every line below it has to occur in what the command prints, in this order.
The page leaves out lines, what Meltano writes around a line, and pieces where it has dots; the
moments, durations and addresses on it are those of the day on which it was written.

A comment above a block says what it needs: ``<!-- run: setup=NAME,NAME during=NAME exit=1 -->``.
The names are those of `runbook_events`; the exit code is that of the block's last command.
``<!-- not run: reason -->`` leaves a block out.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

BLOCK = re.compile(
    r"(?:<!-- (?P<kind>run|not run):(?P<options>.*?)-->\n)?"
    r"```console\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What differs from day to day, from machine to machine and from run to run.
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT\d{6}Z(?=-)"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00(:00)?)?"
    r"|\d+\.\d+ s\b"
    r"|[\d,]+ rows/s"
    r"|(?<=intuit_tid )[\w-]+"
    r"|http://(127\.0\.0\.1|localhost):\d+"
)
DOTS = "..."


@dataclass(frozen=True)
class Command:
    """A command, and the lines that the page shows below it."""

    text: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment above it says."""

    commands: tuple[Command, ...]
    setup: tuple[str, ...] = ()
    during: str | None = None
    exit: int = 0
    is_run: bool = True


def chapters(page: str) -> dict[str, list[Block]]:
    """The blocks of a page by the heading of their chapter (``##``)."""
    parts = re.split(r"^## (.*)\n", page, flags=re.MULTILINE)[1:]
    return {title: blocks(text) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def blocks(page: str) -> list[Block]:
    """The ``console`` blocks of a page, in order."""
    return [_block(match) for match in BLOCK.finditer(page)]


def _block(match: re.Match[str]) -> Block:
    commands = tuple(
        _command(part) for part in re.split(r"^\$ ", match["text"], flags=re.MULTILINE)[1:]
    )
    if match["kind"] == "not run":
        return Block(commands, is_run=False)
    options = dict(option.split("=", 1) for option in shlex.split(match["options"] or ""))
    block = Block(
        commands,
        setup=tuple(options.pop("setup", "").split()),
        during=options.pop("during", None),
        exit=int(options.pop("exit", "0")),
    )
    assert not options, f"the runbook's comments know no {', '.join(options)}"
    return block


def _command(part: str) -> Command:
    text, *shown = part.rstrip("\n").split("\n")
    while text.endswith("\\"):
        text = f"{text}\n{shown.pop(0)}"
    return Command(text, tuple(shown))


def first_missing(shown: tuple[str, ...], output: str) -> str | None:
    """The first line that the page shows and that the output does not have in this order."""
    lines = iter(_steady(output).split("\n"))
    for line in shown:
        pieces = [re.escape(piece.strip()) for piece in _steady(line).split(DOTS)]
        pattern = re.compile(".*".join(pieces))
        if not any(pattern.search(printed) for printed in lines):
            return line
    return None


def _steady(text: str) -> str:
    """The text without what changes, and without the width of columns."""
    return re.sub(r"[ \t]+", " ", CHANGING.sub("#", text))
