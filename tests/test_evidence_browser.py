"""The page of a verification in headless Chromium: it shows what it is made for, alone."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from tap_quickbooks_raw.evidence.document import MonthCount
from tap_quickbooks_raw.evidence.writing import write

from tests.browser import CHROMIUM, DRIVER, Browser, running_browser
from tests.verifications import GAPS, company, month, result, verification

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_quickbooks_raw.evidence.document import Verification

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine"
)

SIZES = """
return Array.from(document.querySelectorAll(arguments[0]), (element) => {
    const box = element.getBoundingClientRect();
    return [box.width, box.height, box.left, box.right];
});
"""
# Of each text: how its colour contrasts with what is behind it (WCAG 2, 1.4.3).
CONTRASTS = r"""
const channels = (text) => text.match(/[\d.]+/g).map(Number);
const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/, 0\)$/.test(colour)) return channels(colour);
    }
    return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("main *")) {
    const own = Array.from(element.childNodes).some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()
    );
    if (!own || !element.getClientRects().length || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const colour = element.tagName === "text" ? style.fill : style.color;
    const [above, below] = [light(channels(colour)), light(behind(element))];
    const [high, low] = [Math.max(above, below), Math.min(above, below)];
    found.push([(high + 0.05) / (low + 0.05), element.textContent.trim()]);
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("chromium")) as window:
        yield window


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind of company."""
    folder = tmp_path_factory.mktemp("evidence")
    documents = {
        "healthy": company(),
        "gaps": company(gaps=GAPS),
        "tiny": company(months=3, gaps=GAPS[-2:]),
        "nothing": verification(),
    }
    return {name: write(document, folder / name)[1] for name, document in documents.items()}


def show(browser: Browser, page: Path, *, width: int = 1280, scheme: str = "light") -> None:
    """Open a page in a window of this kind; what was heard before is forgotten."""
    browser.look(width=width, scheme=scheme)
    browser.open("about:blank")
    browser.console()
    browser.requested()
    browser.open(page.as_uri())


def sizes(browser: Browser, selector: str) -> list[list[float]]:
    """Width, height, left and right edge of each element that is there."""
    return list(browser.run(SIZES, selector))


def count(browser: Browser, selector: str) -> int:
    return len(sizes(browser, selector))


@pytest.mark.parametrize("name", ["healthy", "gaps", "tiny", "nothing"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    show(browser, pages[name], width=width)

    asked = [url for url in browser.requested() if not url.startswith("data:")]
    assert asked == [pages[name].as_uri()]
    assert browser.console() == []


def test_a_healthy_company_is_seen_at_a_glance(browser: Browser, pages: dict[str, Path]) -> None:
    show(browser, pages["healthy"])

    text = browser.text
    assert "QuickBooks Online and raw agree" in text
    assert "Simulated Company 1, US" in text
    assert "2026-11-28 03:15:00 UTC" in text
    assert "41 of 41" in text
    assert count(browser, ".entities tbody tr") == 41
    assert count(browser, ".entities .pill.bad") == 0
    assert count(browser, "#plot-months .gap") == 0
    assert count(browser, "#plot-gaps") == 0
    assert "fewer in raw" not in text


def test_gaps_are_red_and_told(browser: Browser, pages: dict[str, Path]) -> None:
    show(browser, pages["gaps"])

    text = browser.text
    assert "3 of 41 entities do not agree" in text
    assert "38 of 41" in text
    verdicts = browser.run(
        "return Array.from(document.querySelectorAll('.entities tbody tr'), row => row.className)"
    )
    assert verdicts == ["bad"] * 3 + ["so-so"] * 2 + ["good"] * 36
    # Six months of Invoice, one of which has no rows on either side; Customer; Attachable.
    assert count(browser, ".wide .gap") == 7
    red = browser.run("return getComputedStyle(document.querySelector('.wide .gap path')).fill")
    assert red == "rgb(198, 40, 40)"
    hints = browser.run(
        "return Array.from(document.querySelectorAll('.wide .gap title'), e => e.textContent)"
    )
    assert "Invoice, Mar 2026: 1,246 in QBO, 1,102 in raw" in hints
    assert count(browser, ".gap-plot svg") == 3
    for words in ("fewer in raw", "more in raw", "Months that differ", "4711"):
        assert words in text


@pytest.mark.parametrize("name", ["healthy", "gaps", "tiny"])
@pytest.mark.parametrize("width", [320, 390, 721, 860, 1001, 1280, 1920])
def test_each_plot_is_seen_and_nothing_leaves_the_page(
    browser: Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    show(browser, pages[name], width=width)

    assert browser.run("return document.documentElement.scrollWidth") <= width
    strip = "narrow" if width <= 720 else "wide"
    wanted = [f"#plot-months .{strip} svg", "#plot-progress svg", "#plot-calls svg"]
    wanted += [".gap-plot svg"] if name != "healthy" else []
    for selector in wanted:
        boxes = sizes(browser, selector)
        assert boxes, selector
        for across, down, left, right in boxes:
            assert across > 200
            assert down > 90
            assert left >= 0
            assert right <= width
    for _, _, left, right in sizes(browser, "main svg text, main th, main td"):
        assert left >= 0
        assert right <= width
    # A word is never broken into letters.
    assert min(across for across, _, _, _ in sizes(browser, "tbody th")) > 55
    assert max(down for _, down, _, _ in sizes(browser, ".entities tbody tr")) < 320
    assert max(down for _, down, _, _ in sizes(browser, "thead tr")) < 60


def test_on_paper_there_is_the_wide_plot_and_nothing_is_cut(
    browser: Browser, pages: dict[str, Path]
) -> None:
    show(browser, pages["gaps"], width=718)
    browser.look(width=718, medium="print")

    assert browser.run("return document.documentElement.scrollWidth") <= 718
    assert [across > 600 for across, *_ in sizes(browser, "#plot-months svg")] == [True, False]
    assert all(right <= 718 for *_, right in sizes(browser, "main svg text, main th, main td"))
    # The moments of the counts are there, too.
    assert all(across > 60 for across, *_ in sizes(browser, ".entities .times"))


@pytest.mark.parametrize("width", [390, 1280])
def test_letters_of_plots_can_be_read(browser: Browser, pages: dict[str, Path], width: int) -> None:
    show(browser, pages["gaps"], width=width)

    heights = browser.run(
        "return Array.from(document.querySelectorAll('svg text'))"
        ".filter(text => text.getClientRects().length)"
        ".map(text => text.getScreenCTM().a * parseFloat(getComputedStyle(text).fontSize))"
    )
    assert len(heights) > 80
    assert min(heights) >= 8


def test_names_of_entities_do_not_overlap(browser: Browser, pages: dict[str, Path]) -> None:
    for width in (390, 1280):
        show(browser, pages["healthy"], width=width)
        lines = browser.run(
            "return Array.from(document.querySelectorAll('#plot-months text'))"
            ".filter(text => /^[A-Z][a-z]+[A-Za-z]*$/.test(text.textContent))"
            ".map(text => text.getBoundingClientRect()).filter(box => box.width)"
            ".map(box => [box.top, box.bottom]).sort((a, b) => a[0] - b[0])"
        )
        assert len(lines) == 39
        # The box of a line is higher than its letters.
        for (_, bottom), (top, _) in pairwise(lines):
            assert top > bottom - 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_contrast_with_what_is_behind_them(
    browser: Browser, pages: dict[str, Path], scheme: str
) -> None:
    show(browser, pages["gaps"], scheme=scheme)

    found = browser.run(CONTRASTS)
    assert len(found) > 400
    weak = [(round(contrast, 2), text) for contrast, text in found if contrast < 4.5]
    assert weak == []


def test_dark_is_dark(browser: Browser, pages: dict[str, Path]) -> None:
    shade = "return getComputedStyle(document.body).backgroundColor"
    show(browser, pages["gaps"], scheme="dark")
    dark = browser.run(shade)
    assert browser.run("return getComputedStyle(document.querySelector('.wide text')).fill") != ""
    show(browser, pages["gaps"], scheme="light")

    assert browser.run(shade) == "rgb(244, 245, 247)"
    assert dark == "rgb(18, 22, 29)"


EVIL = "</text></svg><script>document.title = 'owned'</script>$x_1$ {{ 7 * 7 }}"
QUOTED = "\"'><img src=x onerror=\"document.title='owned'\">"


def hostile() -> Verification:
    """Whatever texts may be."""
    found = result(
        qbo_rows=9, raw_rows=7, missing=2, missing_ids=(EVIL,), verdict=QUOTED * 20,
        explanations=(EVIL, QUOTED), agrees=False,
    )  # fmt: skip
    months = [MonthCount(stream=found.stream, month=month(1), qbo_rows=9, raw_rows=7)]
    return verification(
        company=EVIL,
        environment=QUOTED,
        entities=(replace(found, entity=EVIL),),
        months=tuple(months),
        options=(QUOTED,),
        settings={EVIL: [QUOTED]},
    )


def test_hostile_texts_are_shown_and_do_nothing(browser: Browser, tmp_path: Path) -> None:
    show(browser, write(hostile(), tmp_path)[1])

    assert browser.run("return document.title").startswith("Does not agree: </text></svg>")
    assert count(browser, "script, img") == 0
    assert browser.console() == []
    text = browser.text
    for words in (EVIL, QUOTED * 20):
        assert words in text
    drawn = browser.run(
        "return Array.from(document.querySelectorAll('.wide text'), e => e.textContent)"
    )
    assert f"\N{BALLOT X} {EVIL}" in drawn
