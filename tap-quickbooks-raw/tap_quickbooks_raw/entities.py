"""The table of QuickBooks Online (QBO) entities: one row per stream.

Sources: Intuit's API reference, one page per entity
(https://developer.intuit.com/app/developer/qbo/docs/api/accounting/most-commonly-used/account
and its neighbours) and recorded answers of the service.
A new entity is one new row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reading(StrEnum):
    """How the objects of an entity are asked for."""

    QUERY = "query"
    """By query, in windows of MetaData.LastUpdatedTime."""

    SINGLE = "single"
    """By query; the company has exactly one such object."""

    NESTED = "nested"
    """By query; each row wraps the real object: ``{"Bill": {..., "Id": "7"}}``."""

    RATES = "rates"
    """By query, which must name the source currencies; the objects have no Id."""

    GET = "get"
    """By a GET of its own; no query, no LastUpdatedTime."""


class Cdc(StrEnum):
    """Whether change data capture (CDC) tells what has changed.

    https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/change-data-capture
    """

    SEEN = "seen"
    """Clients have relied on it for years."""

    LIKELY = "likely"
    """The documentation does not exclude it, and nobody has shown it: it is asked for
    deletions, and what lives is asked for by query as well."""

    NO = "no"
    """Excluded by the documentation, or nothing to gain."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A readable QBO entity.

    Attributes:
        stream: Name of the stream and of the table.
        name: Name in queries.
        key: Name of the list in answers, where it differs from the name.
        active: True if deactivated objects are left out unless the query asks for
            ``Active IN (true, false)``.
        reading: How it is asked for.
        only: Where it exists, if not everywhere; used in messages.
        cdc: Whether CDC tells what has changed.
    """

    stream: str
    name: str
    key: str = ""
    active: bool = False
    reading: Reading = Reading.QUERY
    only: str = ""
    cdc: Cdc = Cdc.SEEN

    @property
    def response_key(self) -> str:
        """Name of the list in answers."""
        return self.key or self.name

    @property
    def is_rare(self) -> bool:
        """Whether it costs calls of its own and changes seldom."""
        return self.reading in {Reading.RATES, Reading.GET}

    @property
    def stamped(self) -> bool:
        """Whether the objects carry MetaData.LastUpdatedTime, so that a bookmark exists."""
        return self.reading is not Reading.GET


ENTITIES: tuple[Entity, ...] = (
    Entity("qb_accounts", "Account", active=True),
    Entity("qb_attachables", "Attachable", cdc=Cdc.LIKELY),
    Entity("qb_bills", "Bill"),
    Entity("qb_bill_payments", "BillPayment"),
    Entity("qb_budgets", "Budget", active=True),
    Entity("qb_classes", "Class", active=True),
    Entity("qb_company_currencies", "CompanyCurrency", active=True, cdc=Cdc.LIKELY),
    Entity("qb_company_info", "CompanyInfo", reading=Reading.SINGLE, cdc=Cdc.NO),
    # The list in the answer is named otherwise than the entity in the query.
    Entity(
        "qb_credit_card_payments",
        "CreditCardPayment",
        key="CreditCardPaymentTxn",
        cdc=Cdc.LIKELY,
    ),
    Entity("qb_credit_memos", "CreditMemo"),
    Entity("qb_customers", "Customer", active=True),
    Entity("qb_customer_types", "CustomerType", active=True, cdc=Cdc.LIKELY),
    Entity("qb_departments", "Department", active=True),
    Entity("qb_deposits", "Deposit"),
    Entity("qb_employees", "Employee", active=True),
    Entity("qb_estimates", "Estimate"),
    Entity("qb_exchange_rates", "ExchangeRate", reading=Reading.RATES, cdc=Cdc.NO),
    Entity("qb_inventory_adjustments", "InventoryAdjustment", cdc=Cdc.LIKELY),
    Entity("qb_invoices", "Invoice"),
    Entity("qb_items", "Item", active=True),
    Entity("qb_journal_codes", "JournalCode", only="companies in France", cdc=Cdc.NO),
    Entity("qb_journal_entries", "JournalEntry"),
    Entity("qb_payments", "Payment"),
    Entity("qb_payment_methods", "PaymentMethod", active=True),
    Entity("qb_preferences", "Preferences", reading=Reading.SINGLE, cdc=Cdc.NO),
    Entity("qb_purchases", "Purchase"),
    Entity("qb_purchase_orders", "PurchaseOrder"),
    Entity(
        "qb_recurring_transactions",
        "RecurringTransaction",
        reading=Reading.NESTED,
        cdc=Cdc.LIKELY,
    ),
    Entity("qb_refund_receipts", "RefundReceipt"),
    # Intuit prints the key of the list once as "ReimburseCarge"; any sole list is taken.
    Entity("qb_reimburse_charges", "ReimburseCharge", cdc=Cdc.LIKELY),
    Entity("qb_sales_receipts", "SalesReceipt"),
    Entity("qb_tax_agencies", "TaxAgency", cdc=Cdc.NO),
    Entity("qb_tax_classifications", "TaxClassification", reading=Reading.GET, cdc=Cdc.NO),
    Entity("qb_tax_codes", "TaxCode", active=True, cdc=Cdc.NO),
    Entity(
        "qb_tax_payments",
        "TaxPayment",
        only="Australia, Canada and the United Kingdom",
        cdc=Cdc.LIKELY,
    ),
    Entity("qb_tax_rates", "TaxRate", active=True, cdc=Cdc.NO),
    Entity("qb_terms", "Term", active=True),
    Entity("qb_time_activities", "TimeActivity", cdc=Cdc.NO),
    Entity("qb_transfers", "Transfer"),
    Entity("qb_vendors", "Vendor", active=True),
    Entity("qb_vendor_credits", "VendorCredit"),
)

BY_STREAM: dict[str, Entity] = {entity.stream: entity for entity in ENTITIES}
