"""Reports with totals from the data."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Client


def report(client: Client, name: str) -> dict[str, Any]:
    period = {"start_date": "2015-01-01", "end_date": "2026-12-31"}
    response = client.get(f"reports/{name}", **period)
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    assert list(content) == ["Header", "Columns", "Rows"]
    assert content["Header"]["ReportName"] == name
    return content


def totals(content: dict[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}

    def visit(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if "group" in row:
                found[row["group"]] = Decimal(row["Summary"]["ColData"][1]["value"])
            visit(row.get("Rows", {}).get("Row", []))

    visit(content["Rows"]["Row"])
    return found


def test_profit_is_income_less_costs(american: Client) -> None:
    found = totals(report(american, "ProfitAndLoss"))
    assert found["GrossProfit"] == found["Income"] - found["COGS"]
    assert found["NetOperatingIncome"] == found["GrossProfit"] - found["Expenses"]
    assert found["NetIncome"] == found["NetOperatingIncome"] + found["NetOtherIncome"]
    assert found["Income"] > 0


def test_the_balance_sheet_balances(american: Client) -> None:
    found = totals(report(american, "BalanceSheet"))
    assert found["TotalAssets"] == found["TotalLiabilitiesAndEquity"] != 0


def test_the_trial_balance_balances(american: Client) -> None:
    last = report(american, "TrialBalance")["Rows"]["Row"][-1]
    _, debit, credit = last["Summary"]["ColData"]
    assert debit == credit
    assert last["group"] == "GrandTotal"


def test_customers_and_vendors_owe_what_the_accounts_say(american: Client) -> None:
    sheet = totals(report(american, "BalanceSheet"))
    assert totals(report(american, "CustomerBalance"))["GrandTotal"] == sheet["AR"]
    assert totals(report(american, "VendorBalance"))["GrandTotal"] == sheet["AP"]


def test_transactions_are_listed_by_day(american: Client) -> None:
    rows = report(american, "TransactionList")["Rows"]["Row"]
    days = [row["ColData"][0]["value"] for row in rows]
    assert days == sorted(days)
    count = american.answer("select count(*) from Invoice")["totalCount"]
    assert sum(row["ColData"][1]["value"] == "Invoice" for row in rows) == count


def test_other_reports_are_refused(american: Client) -> None:
    assert american.get("reports/CashFlow").status_code == 400
