"""The chart of accounts, and which account plays which part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books


class Account(NamedTuple):
    """One line of the chart of accounts."""

    name: str
    type: str
    subtype: str
    classification: str
    parent: int | None = None


def _expense(name: str, subtype: str, parent: int | None = None) -> Account:
    return Account(name, "Expense", subtype, "Expense", parent)


CHART: Final = (
    Account("Checking", "Bank", "Checking", "Asset"),
    Account("Savings", "Bank", "Savings", "Asset"),
    Account("Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable", "Asset"),
    Account("Undeposited Funds", "Other Current Asset", "UndepositedFunds", "Asset"),
    Account("Inventory Asset", "Other Current Asset", "Inventory", "Asset"),
    Account("Truck", "Fixed Asset", "Vehicles", "Asset"),
    Account("Accounts Payable (A/P)", "Accounts Payable", "AccountsPayable", "Liability"),
    Account("Mastercard", "Credit Card", "CreditCard", "Liability"),
    Account("Sales Tax Payable", "Other Current Liability", "SalesTaxPayable", "Liability"),
    Account("Loan Payable", "Long Term Liability", "NotesPayable", "Liability"),
    Account("Opening Balance Equity", "Equity", "OpeningBalanceEquity", "Equity"),
    Account("Sales of Product Income", "Income", "SalesOfProductIncome", "Revenue"),
    Account("Services", "Income", "ServiceFeeIncome", "Revenue"),
    Account("Billable Expense Income", "Income", "SalesOfProductIncome", "Revenue"),
    Account("Cost of Goods Sold", "Cost of Goods Sold", "SuppliesMaterialsCogs", "Expense"),
    _expense("Job Expenses", "CostOfLabor"),
    _expense("Job Materials", "SuppliesMaterials", 15),
    _expense("Office Expenses", "OfficeGeneralAdministrativeExpenses"),
    _expense("Rent or Lease", "RentOrLeaseOfBuildings"),
    _expense("Utilities", "Utilities"),
    _expense("Telephone", "Utilities", 19),
    _expense("Inventory Shrinkage", "SuppliesMaterials"),
    Account("Interest Earned", "Other Income", "InterestEarned", "Revenue"),
    Account("Penalties & Settlements", "Other Expense", "PenaltiesSettlements", "Expense"),
)
(
    CHECKING,
    SAVINGS,
    RECEIVABLE,
    UNDEPOSITED,
    INVENTORY,
    _TRUCK,
    PAYABLE,
    CARD,
    TAX_PAYABLE,
    LOAN,
    OPENING_EQUITY,
    PRODUCT_INCOME,
    SERVICE_INCOME,
    BILLABLE_INCOME,
    GOODS_SOLD,
    _JOB,
    MATERIALS,
    OFFICE,
    RENT,
    _UTILITIES,
    TELEPHONE,
    SHRINKAGE,
) = range(22)
EXPENSES: Final = (MATERIALS, OFFICE, RENT, TELEPHONE)


def chart_line(slot: int) -> Account:
    """Return what an account is; beyond the chart there are more expenses."""
    if slot < len(CHART):
        return CHART[slot]
    return _expense(f"Project Cost {slot:03d}", "OtherMiscellaneousServiceCost")


def full_name(slot: int) -> str:
    """Return the name with its parent in front."""
    line = chart_line(slot)
    return line.name if line.parent is None else f"{CHART[line.parent].name}:{line.name}"


def account_ref(books: Books, slot: int) -> dict[str, str]:
    """Return a reference to an account."""
    return {"value": books.id("Account", slot), "name": full_name(slot)}
