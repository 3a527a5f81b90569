"""A figure of matplotlib as a part of a page: small, without ids in the way, in its colours."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from xml.etree.ElementTree import Element

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
# matplotlib knows no variables of a style sheet: these stand for them until the end.
NAMES = (
    "ink", "muted", "line", "track", "card", "gap", "explained", "accent", "accent-soft",
    "equal-1", "equal-2", "equal-3", "equal-4", "equal-5",
    "raw-1", "raw-2", "raw-3", "raw-4", "raw-5",
)  # fmt: skip
COLOURS = {name: f"#fe{number:02x}01" for number, name in enumerate(NAMES)}
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_COLOUR = re.compile("|".join(COLOURS.values()))
_DECIMALS = re.compile(r"\d+\.\d+")
_FONT = re.compile(r"font-family: [^;]+(; )?")
_RECTANGLE = re.compile(r"M (\S+) (\S+) L (\S+) \2 L \3 (\S+) L \1 \4 z ?")
_NO_ROTATION = re.compile(r"rotate\(-0 .*\)")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def colour(name: str) -> str:
    """The colour that stands for a variable of the page's style sheet."""
    return COLOURS[name]


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of so many pixels, in which a point is a pixel."""
    return Figure(figsize=(width / 72, height / 72), dpi=72)


@contextmanager
def looks() -> Iterator[None]:
    """Within it, figures are drawn as the page wants them."""
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "text.parse_math": False,
            "font.size": 11,
            "text.color": COLOURS["ink"],
            "axes.edgecolor": COLOURS["line"],
            "axes.facecolor": "none",
            "axes.labelcolor": COLOURS["muted"],
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "none",
            "grid.color": COLOURS["line"],
            "hatch.linewidth": 1.2,
            "xtick.color": COLOURS["line"],
            "xtick.labelcolor": COLOURS["muted"],
            "ytick.color": COLOURS["line"],
            "ytick.labelcolor": COLOURS["muted"],
        }
    ):
        yield


def inline(figure: Figure, name: str, title: str, hints: Mapping[str, str] | None = None) -> str:
    """Return a figure, drawn within `looks`, as an element of a page.

    Args:
        figure: The figure.
        name: Sets its ids apart from those of other figures.
        title: What it shows, for those who do not see it.
        hints: What to say about parts of it, by the `gid` that they were given; what it begins
            with, up to a hyphen, becomes their class.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # A character that the measuring font does not have; the reader's has it.
        warnings.simplefilter("ignore")
        with mpl.rc_context({"svg.hashsalt": name}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314  We drew it.
    _drop(root)
    _hint(root, hints or {})
    _tidy(root, name)
    root.attrib.pop("version", None)
    root.set("role", "img")
    root.set("aria-label", title)
    root.set("style", f"max-width:{float(root.get('viewBox', '').split()[2]):.0f}px")
    for size in ("width", "height"):
        root.attrib.pop(size)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def _drop(root: Element) -> None:
    """Remove what concerns the page, and what is invisible."""
    for parent in list(root.iter()):
        for child in list(parent):
            tag = child.tag.removeprefix(f"{{{SVG}}}")
            is_style = tag == "defs" and child.find(f"{{{SVG}}}style") is not None
            is_nothing = tag == "path" and child.get("style", "") == "fill: none"
            if tag == "metadata" or is_style or is_nothing:
                parent.remove(child)


def _hint(root: Element, hints: Mapping[str, str]) -> None:
    for element in root.iter():
        if element.get("id", "") in hints:
            hint = ET.Element(f"{{{SVG}}}title")
            hint.text = hints[element.attrib["id"]]
            element.insert(0, hint)
            element.set("class", element.attrib["id"].partition("-")[0])


def _tidy(root: Element, name: str) -> None:
    """Round numbers, name colours, and keep only ids that something refers to."""
    used = set(_references(root))
    for element in root.iter():
        if element.tag != f"{{{SVG}}}text":
            element.text = element.text if (element.text or "").strip() else None
        element.tail = None
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if _NO_ROTATION.fullmatch(element.get("transform", "")):
            element.attrib.pop("transform")
        for key, value in list(element.attrib.items()):
            element.set(key, _tidied(key, value, name))


def _references(root: Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get(f"{{{XLINK}}}href", "#")[1:]
        for value in element.attrib.values():
            yield from _REFERENCE.findall(value)


def _tidied(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == f"{{{XLINK}}}href":
        return f"#{name}-{value[1:]}"
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    if key == "style":
        value = _FONT.sub("", value)
    if key in {"style", "fill", "stroke"}:
        value = _COLOUR.sub(lambda match: _VARIABLES[match[0]], value)
    if key in {"d", "x", "y", "transform", "style", "points"}:
        value = _DECIMALS.sub(_rounded, " ".join(value.split()))
    return _RECTANGLE.sub(r"M\1 \2H\3V\4H\1z", value) if key == "d" else value


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")
