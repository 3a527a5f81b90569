"""A few reports, with totals from the data: all values are texts."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from quickbooks_simulator.cells import Row, cells, column, data, money, summary
from quickbooks_simulator.clock import pacific, pacific_date
from quickbooks_simulator.conditions import row_of
from quickbooks_simulator.effects import decimal
from quickbooks_simulator.faults import unsupported
from quickbooks_simulator.jsontext import dumps
from quickbooks_simulator.ledger import Ledger, date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from quickbooks_simulator.clock import Clock
    from quickbooks_simulator.company import Company


class Period(NamedTuple):
    """The days of a report."""

    start: str
    end: str


class Section(NamedTuple):
    """A part of a report: accounts of some types, with a total."""

    title: str
    group: str
    types: tuple[str, ...]
    sign: int


PROFIT: Final = (
    Section("Income", "Income", ("Income",), -1),
    Section("Cost of Goods Sold", "COGS", ("Cost of Goods Sold",), 1),
    Section("Expenses", "Expenses", ("Expense",), 1),
    Section("Other Income", "OtherIncome", ("Other Income",), -1),
    Section("Other Expenses", "OtherExpenses", ("Other Expense",), 1),
)
ASSETS: Final = (
    Section("Bank Accounts", "BankAccounts", ("Bank",), 1),
    Section("Accounts Receivable", "AR", ("Accounts Receivable",), 1),
    Section("Other Current Assets", "OtherCurrentAssets", ("Other Current Asset",), 1),
    Section("Fixed Assets", "FixedAssets", ("Fixed Asset",), 1),
)
DEBTS: Final = (
    Section("Accounts Payable", "AP", ("Accounts Payable",), -1),
    Section("Credit Cards", "CreditCards", ("Credit Card",), -1),
    Section(
        "Other Current Liabilities", "OtherCurrentLiabilities", ("Other Current Liability",), -1
    ),
    Section("Long-Term Liabilities", "LongTermLiabilities", ("Long Term Liability",), -1),
    Section("Equity", "Equity", ("Equity",), -1),
)
_LIST_COLUMNS: Final = (
    ("Date", "Date", "tx_date"),
    ("Transaction Type", "String", "txn_type"),
    ("#", "String", "doc_num"),
    ("Posting", "Boolean", "is_no_post"),
    ("Name", "String", "name"),
    ("Memo/Description", "String", "memo"),
    ("Account", "String", "account_name"),
    ("Split", "String", "other_account"),
    ("Amount", "Money", "subt_nat_amount"),
)


class _Builder:
    """One report of one company."""

    def __init__(self, company: Company, params: Mapping[str, str], clock: Clock) -> None:
        today = pacific_date(clock.stamp())
        self.company, self.clock = company, clock
        self.ledger = Ledger(company)
        self.period = Period(
            params.get("start_date", f"{today[:4]}-01-01"), params.get("end_date", today)
        )
        self.accounts = [
            row_of(company.tables["Account"], slot)
            for slot in company.tables["Account"].in_order("oldest")
        ]

    def _report(
        self, name: str, columns: Sequence[tuple[str, str, str]], rows: list[Row], **header: str
    ) -> Row:
        return {
            "Header": {
                "Time": pacific(self.clock.stamp()),
                "ReportName": name,
                **header,
                "Currency": self.company.books.currency,
                "Option": [{"Name": "NoReportData", "Value": "false" if rows else "true"}],
            },
            "Columns": {"Column": [column(*each) for each in columns]},
            "Rows": {"Row": rows} if rows else {},
        }

    def _section(self, part: Section, sums: Mapping[str, Decimal]) -> tuple[Row, Decimal]:
        rows, total = [], Decimal()
        for account in self.accounts:
            amount = part.sign * sums.get(account["Id"], Decimal())
            if account["AccountType"] in part.types and amount:
                total += amount
                name = account["FullyQualifiedName"]
                rows.append(data(name, money(amount), id=account["Id"]))
        return {
            "Header": {"ColData": cells(part.title, "")},
            "Rows": {"Row": rows},
            **summary(f"Total {part.title}", part.group, money(total)),
        }, total

    def profit_and_loss(self) -> Row:
        sums = self.ledger.totals(*self.period)
        rows, totals = [], []
        for part in PROFIT:
            row, total = self._section(part, sums)
            rows.append(row)
            totals.append(total)
        gross = totals[0] - totals[1]
        operating, other = gross - totals[2], totals[3] - totals[4]
        rows.insert(2, summary("Gross Profit", "GrossProfit", money(gross)))
        rows.insert(4, summary("Net Operating Income", "NetOperatingIncome", money(operating)))
        rows.append(summary("Net Other Income", "NetOtherIncome", money(other)))
        rows.append(summary("Net Income", "NetIncome", money(operating + other)))
        return self._report(
            "ProfitAndLoss",
            (("", "Account", "account"), ("Total", "Money", "total")),
            rows,
            ReportBasis="Accrual",
            StartPeriod=self.period.start,
            EndPeriod=self.period.end,
            SummarizeColumnsBy="Total",
        )

    def balance_sheet(self) -> Row:
        sums = self.ledger.totals("", self.period.end)
        profit = -sum(
            (sums.get(a["Id"], Decimal()) for a in self.accounts if _is_profit(a)), Decimal()
        )
        assets, owed = [], []
        wealth = debts = Decimal()
        for part in ASSETS:
            row, total = self._section(part, sums)
            assets.append(row)
            wealth += total
        for part in DEBTS:
            row, total = self._section(part, sums)
            if part.group == "Equity":
                row["Rows"]["Row"].append(data("Net Income", money(profit)))
                total += profit
                row["Summary"]["ColData"][1]["value"] = money(total)
            owed.append(row)
            debts += total
        rows = [
            {
                "Header": {"ColData": cells(title, "")},
                "Rows": {"Row": parts},
                **summary(f"TOTAL {title}", group, money(total)),
            }
            for title, parts, group, total in (
                ("ASSETS", assets, "TotalAssets", wealth),
                ("LIABILITIES AND EQUITY", owed, "TotalLiabilitiesAndEquity", debts),
            )
        ]
        return self._report(
            "BalanceSheet",
            (("", "Account", "account"), ("TOTAL", "Money", "total")),
            rows,
            ReportBasis="Accrual",
            StartPeriod=self.period.start,
            EndPeriod=self.period.end,
            SummarizeColumnsBy="Total",
        )

    def trial_balance(self) -> Row:
        sums = self.ledger.totals("", self.period.end)
        rows, debit, credit = [], Decimal(), Decimal()
        for account in self.accounts:
            amount = sums.get(account["Id"], Decimal())
            if not amount:
                continue
            debit, credit = debit + max(amount, Decimal()), credit - min(amount, Decimal())
            sides = (money(amount), "") if amount > 0 else ("", money(-amount))
            rows.append(data(account["FullyQualifiedName"], *sides, id=account["Id"]))
        rows.append(summary("TOTAL", "GrandTotal", money(debit), money(credit)))
        return self._report(
            "TrialBalance",
            (
                ("", "Account", "account"),
                ("Debit", "Money", "debit"),
                ("Credit", "Money", "credit"),
            ),
            rows,
            ReportBasis="Accrual",
            StartPeriod=self.period.start,
            EndPeriod=self.period.end,
        )

    def customer_balance(self) -> Row:
        return self._balances("CustomerBalance", "Customer")

    def vendor_balance(self) -> Row:
        return self._balances("VendorBalance", "Vendor")

    def _balances(self, name: str, key: str) -> Row:
        table = self.company.tables[key]
        rows, total = [], Decimal()
        for slot in table.in_order("oldest"):
            row = row_of(table, slot)
            if balance := decimal(row.get("Balance")):
                total += balance
                title = row.get("FullyQualifiedName", row["DisplayName"])
                rows.append(data(title, money(balance), id=row["Id"]))
        rows.append(summary("TOTAL", "GrandTotal", money(total)))
        return self._report(
            name, (("", key, key.lower()), ("Total", "Money", "total")), rows, DateMacro="all"
        )

    def transaction_list(self) -> Row:
        names = {account["Id"]: account["FullyQualifiedName"] for account in self.accounts}
        listed: dict[str, list[Row]] = defaultdict(list)
        for key, row in self.ledger.transactions(*self.period):
            own, *others = self.ledger.postings(key, row)
            who = row.get("CustomerRef") or row.get("VendorRef") or row.get("EntityRef") or {}
            split = names.get(others[0].account, "") if len(others) == 1 else "-Split-"
            listing = data(
                date_of(row),
                key,
                str(row.get("DocNumber", "")),
                "Yes",
                str(who.get("name", "")),
                str(row.get("PrivateNote", "")),
                names.get(own.account, ""),
                split,
                money(own.amount),
            )
            listing["ColData"][1]["id"] = row["Id"]
            listed[date_of(row)].append(listing)
        rows = [each for day in sorted(listed) for each in listed[day]]
        return self._report(
            "TransactionList",
            _LIST_COLUMNS,
            rows,
            StartPeriod=self.period.start,
            EndPeriod=self.period.end,
        )


def _is_profit(account: Mapping[str, Any]) -> bool:
    return any(account["AccountType"] in part.types for part in PROFIT)


_REPORTS: dict[str, Callable[[_Builder], Row]] = {
    "ProfitAndLoss": _Builder.profit_and_loss,
    "BalanceSheet": _Builder.balance_sheet,
    "TrialBalance": _Builder.trial_balance,
    "CustomerBalance": _Builder.customer_balance,
    "VendorBalance": _Builder.vendor_balance,
    "TransactionList": _Builder.transaction_list,
}


def report(company: Company, name: str, params: Mapping[str, str], clock: Clock) -> bytes:
    """Return a report as a whole JSON object.

    Raises:
        Fault: There is no such report.
    """
    build = _REPORTS.get(name)
    if build is None:
        raise unsupported(f"report {name}")
    return dumps(build(_Builder(company, params, clock)))
