"""The Spanish pages tell the same commands as the English ones, and the runbook's test its own.

When one of these fails, change the Spanish page beside the English one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pipeline.runbook_page import Command, blocks, chapters, first_missing

PROJECT = Path(__file__).resolve().parent.parent
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()
FENCED = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
PAGES = ("docs/runbook.md", "docs/runbook.es.md", "README.es.md", "docs/acceptance.md")


def test_the_spanish_runbook_has_the_same_blocks_in_the_same_order() -> None:
    spanish = (PROJECT / "docs" / "runbook.es.md").read_text()
    english_chapters, spanish_chapters = chapters(RUNBOOK), chapters(spanish)
    assert list(spanish_chapters.values()) == list(english_chapters.values())
    assert FENCED.findall(spanish) == FENCED.findall(RUNBOOK)
    for depth in ("### ", "| ", "- "):
        assert _lines(spanish, depth) == _lines(RUNBOOK, depth), f"lines that begin with {depth!r}"


def test_every_command_of_the_spanish_readme_is_one_of_the_english_pages() -> None:
    english = (PROJECT / "README.md").read_text() + RUNBOOK
    readme = (PROJECT / "README.es.md").read_text()
    lines = [line for block in FENCED.findall(readme) for line in block.splitlines()]
    assert lines
    assert [line for line in lines if line not in english] == []


def test_every_setting_that_the_spanish_pages_name_exists() -> None:
    english = (PROJECT / "README.md").read_text() + RUNBOOK
    names = re.compile(r"\b(?:TAP_QUICKBOOKS_RAW|QB|POSTGRES)_[A-Z_]+[A-Z]\b")
    known = {*names.findall(english), *names.findall((PROJECT / ".env.example").read_text())}
    for page in ("README.es.md", "docs/runbook.es.md"):
        assert set(names.findall((PROJECT / page).read_text())) <= known, page


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = PROJECT / page
    text = path.read_text()
    for file, anchor in LINK.findall(text):
        if file.startswith("http"):
            continue
        target = path.parent / file if file else path
        assert target.exists(), file
        if anchor and target.suffix == ".md":
            assert anchor[1:] in _anchors(target.read_text()), file + anchor


@pytest.mark.parametrize(
    ("shown", "printed", "lost"),
    [
        (("ok",), "all is ok here", None),
        (("...", "b"), "a\nb", None),
        (("b", "a"), "a\nb", "a"),
        (("90 ok",), "91 ok", "90 ok"),
        (("rows  90   ok",), "info| rows 90 ok", None),
        (("in 2026-01-01T00:00:00Z, 1.5 s",), "in 2027-11-11T01:02:03.4Z, 0.1 s", None),
        (("1 ... 3",), "1 2 3", None),
        (("1 ... 3",), "3 2 1", "1 ... 3"),
    ],
)
def test_what_a_page_shows_is_looked_for_in_order(
    shown: tuple[str, ...], printed: str, lost: str | None
) -> None:
    assert first_missing(shown, printed) == lost


def test_a_block_is_read_with_what_its_comment_says() -> None:
    page = (
        '<!-- run: setup="a b" during=c exit=143 -->\n'
        "```console\n$ one\n...\nline\n$ two \\\n  more\n```\n"
        "<!-- not run: no reason -->\n```console\n$ three\n```\n"
    )
    first, second = blocks(page)
    assert first.commands == (Command("one", ("...", "line")), Command("two \\\n  more"))
    assert (first.setup, first.during, first.exit) == (("a", "b"), "c", 143)
    assert first.is_run
    assert not second.is_run
    with pytest.raises(AssertionError, match="no wether"):
        blocks("<!-- run: wether=1 -->\n```console\n$ one\n```\n")


def _lines(text: str, beginning: str) -> int:
    return sum(line.startswith(beginning) for line in FENCED.sub("", text).splitlines())


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
