"""Name and country of a company."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import EntityError
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.planning import base_query

if TYPE_CHECKING:
    from tap_quickbooks_raw.client import QuickBooksClient


class Company(msgspec.Struct):
    """What a company calls itself."""

    name: str = msgspec.field(default="", name="CompanyName")
    country: str = msgspec.field(default="", name="Country")

    def __str__(self) -> str:
        return f"{self.name or '(no name)'}, {self.country or 'country not told'}"


def read_company(client: QuickBooksClient) -> Company:
    """Ask a company for its name and country; one call.

    Raises:
        QuickBooksError: It cannot be read.
    """
    entity = BY_STREAM["qb_company_info"]
    page = Source(client, entity, size=1).fetch(base_query(entity), position=1, size=1)
    if not page.rows:
        raise EntityError("QBO does not tell the company's name")
    return msgspec.json.decode(page.rows[0].payload, type=Company)
