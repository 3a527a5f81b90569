"""The streams are the promised ones."""

from __future__ import annotations

import pytest
from quickbooks_simulator.entities import ENTITIES as SIMULATED
from tap_quickbooks_raw.entities import BY_STREAM, ENTITIES, Reading

# A change here is a decision: tables of users carry these names.
STREAMS = [
    "qb_accounts", "qb_attachables", "qb_bills", "qb_bill_payments", "qb_budgets", "qb_classes",
    "qb_company_currencies", "qb_company_info", "qb_credit_card_payments", "qb_credit_memos",
    "qb_customers", "qb_customer_types", "qb_departments", "qb_deposits", "qb_employees",
    "qb_estimates", "qb_exchange_rates", "qb_inventory_adjustments", "qb_invoices", "qb_items",
    "qb_journal_codes", "qb_journal_entries", "qb_payments", "qb_payment_methods",
    "qb_preferences", "qb_purchases", "qb_purchase_orders", "qb_recurring_transactions",
    "qb_refund_receipts", "qb_reimburse_charges", "qb_sales_receipts", "qb_tax_agencies",
    "qb_tax_classifications", "qb_tax_codes", "qb_tax_payments", "qb_tax_rates", "qb_terms",
    "qb_time_activities", "qb_transfers", "qb_vendors", "qb_vendor_credits",
]  # fmt: skip

# Lists that hide deactivated objects unless the query names Active.
ACTIVE = {
    "Account", "Budget", "Class", "CompanyCurrency", "Customer", "CustomerType", "Department",
    "Employee", "Item", "PaymentMethod", "TaxCode", "TaxRate", "Term", "Vendor",
}  # fmt: skip


def test_there_are_exactly_the_promised_streams() -> None:
    assert [entity.stream for entity in ENTITIES] == STREAMS
    assert len(STREAMS) == 41 == len(BY_STREAM)


def test_names_are_used_once() -> None:
    assert len({entity.name for entity in ENTITIES}) == len(ENTITIES)
    assert len({entity.response_key for entity in ENTITIES}) == len(ENTITIES)


def test_every_entity_of_the_simulator_is_read() -> None:
    assert {entity.response_key for entity in ENTITIES} == set(SIMULATED)


def test_deactivated_objects_are_asked_for_where_they_would_be_hidden() -> None:
    assert {entity.name for entity in ENTITIES if entity.active} == ACTIVE


@pytest.mark.parametrize(
    ("reading", "names"),
    [
        (Reading.SINGLE, {"CompanyInfo", "Preferences"}),
        (Reading.NESTED, {"RecurringTransaction"}),
        (Reading.RATES, {"ExchangeRate"}),
        (Reading.GET, {"TaxClassification"}),
    ],
)
def test_entities_with_habits_are_known(reading: Reading, names: set[str]) -> None:
    assert {entity.name for entity in ENTITIES if entity.reading is reading} == names


def test_only_what_has_no_stamp_has_no_bookmark() -> None:
    assert {entity.name for entity in ENTITIES if not entity.stamped} == {"TaxClassification"}
