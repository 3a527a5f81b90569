"""The small parts that reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

Row = dict[str, Any]


def money(amount: Decimal) -> str:
    """Write an amount."""
    return f"{amount:.2f}"


def cells(*values: str, id: str = "") -> list[dict[str, str]]:
    """Return the cells of a row; the first may refer to an object."""
    made = [{"value": value} for value in values]
    if id:
        made[0]["id"] = id
    return made


def data(*values: str, id: str = "") -> Row:
    """Return a row of values."""
    return {"ColData": cells(*values, id=id), "type": "Data"}


def summary(title: str, group: str, *values: str) -> Row:
    """Return a total."""
    return {"Summary": {"ColData": cells(title, *values)}, "type": "Section", "group": group}


def column(title: str, kind: str, key: str) -> Row:
    """Return the description of a column."""
    return {
        "ColTitle": title,
        "ColType": kind,
        "MetaData": [{"Name": "ColKey", "Value": key}],
    }
