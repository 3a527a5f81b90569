"""Company, preferences, currencies' rates, budgets, time, attachments and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from quickbooks_simulator.clock import pacific_date
from quickbooks_simulator.generation.books import DAY, FIRST_DAY, money
from quickbooks_simulator.generation.chart import EXPENSES, account_ref
from quickbooks_simulator.generation.inactive import is_inactive
from quickbooks_simulator.generation.items import item_name
from quickbooks_simulator.generation.people import card, display_name
from quickbooks_simulator.generation.purchases import bill
from quickbooks_simulator.generation.sales import invoice
from quickbooks_simulator.generation.words import CURRENCIES

if TYPE_CHECKING:
    from quickbooks_simulator.generation.books import Books
    from quickbooks_simulator.jsontext import Payload

_EXACT_RATES = {"IRR": Raw(b"0.0000238095"), "EUR": Raw(b"1.10")}


def company_info(books: Books, slot: int) -> Payload:
    """Make the company's own row."""
    address = {
        "Id": "1",
        "Line1": "12 Foundry Way",
        "City": "Monterra",
        "Country": books.land,
        "CountrySubDivisionCode": "CA",
        "PostalCode": "94021",
    }
    name = f"Simulated Company {books.seed}"
    return {
        "CompanyName": name,
        "LegalName": name,
        "CompanyAddr": address,
        "CustomerCommunicationAddr": address,
        "LegalAddr": address,
        "PrimaryPhone": {"FreeFormNumber": "(555) 555-0100"},
        "CompanyStartDate": pacific_date(FIRST_DAY),
        "FiscalYearStartMonth": "January",
        "Country": books.land,
        "Email": {"Address": "office@example.com"},
        "WebAddr": {},
        "SupportedLanguages": "en",
        "DefaultTimeZone": "America/Los_Angeles",
        "NameValue": [
            {"Name": "NeoEnabled", "Value": "true"},
            {"Name": "SubscriptionStatus", "Value": "PAID"},
            {"Name": "OfferingSku", "Value": "QuickBooks Online Plus"},
        ],
        **books.head("CompanyInfo", slot, token=4),
    }


def preferences(books: Books, slot: int) -> Payload:
    """Make the company's preferences."""
    return {
        "AccountingInfoPrefs": {
            "FirstMonthOfFiscalYear": "January",
            "UseAccountNumbers": True,
            "ClassTrackingPerTxn": False,
            "ClassTrackingPerTxnLine": True,
            "TrackDepartments": True,
            "CustomerTerminology": "Customers",
        },
        "ProductAndServicesPrefs": {
            "ForSales": True,
            "ForPurchase": True,
            "QuantityWithPriceAndRate": True,
            "QuantityOnHand": True,
        },
        "SalesFormsPrefs": {
            "CustomField": [
                {
                    "CustomField": [
                        {
                            "Name": "SalesFormsPrefs.SalesCustomName1",
                            "Type": "StringType",
                            "StringValue": "Team No.",
                        }
                    ]
                }
            ],
            "CustomTxnNumbers": False,
            "AllowDeposit": True,
            "AllowDiscount": True,
            "AllowEstimates": True,
            "AllowServiceDate": False,
            "AllowShipping": False,
            "ETransactionEnabledStatus": "NotApplicable",
            "ETransactionAttachPDF": False,
            "ETransactionPaymentEnabled": False,
            "IPNSupportEnabled": False,
            "UsingPriceLevels": False,
            "DefaultTerms": {"value": books.id("Term", 1)},
        },
        "EmailMessagesPrefs": {
            "InvoiceMessage": {
                "Subject": "Your invoice",
                "Message": "Dear customer,\n\nYour invoice is attached.\n\nRegards",
            }
        },
        "VendorAndPurchasesPrefs": {"BillableExpenseTracking": True, "POCustomField": []},
        "TimeTrackingPrefs": {"UseServices": True, "WorkWeekStartDate": "Monday"},
        "TaxPrefs": {"UsingSalesTax": True, "TaxGroupCodeRef": {"value": "2"}},
        "CurrencyPrefs": {
            "MultiCurrencyEnabled": True,
            "HomeCurrency": {"value": books.currency},
        },
        "ReportPrefs": {"ReportBasis": "Accrual", "CalcAgingReportFromTxnDate": False},
        "OtherPrefs": {"NameValue": [{"Name": "DTXCopyMemo", "Value": "true"}]},
        **books.head("Preferences", slot, token=5),
    }


def exchange_rate(books: Books, slot: int) -> Payload:
    """Make the rate of a currency on a Monday; it has no Id and no time of creation."""
    number = slot % len(CURRENCIES)
    code, _, rate = CURRENCIES[number]
    drift = books.chance("ExchangeRate", slot) % 1000 - 500
    head = books.head("ExchangeRate", slot, token=slot % 2)
    del head["Id"], head["MetaData"]["CreateTime"]
    return {
        "SourceCurrencyCode": code,
        "TargetCurrencyCode": books.currency,
        "AsOfDate": exchange_date(slot),
        "Rate": _EXACT_RATES.get(code) or round(rate * (1 + drift / 10000), 6),
        **head,
    }


def exchange_date(slot: int) -> str:
    """Return the day of a rate: one Monday after the other, all currencies on each."""
    return pacific_date(FIRST_DAY + DAY // 2 + slot // len(CURRENCIES) * 7 * DAY)


def budget(books: Books, slot: int) -> Payload:
    """Make a budget of a year: one detail per account and month."""
    year = 2019 + slot
    return {
        "Name": f"Budget {year}",
        "BudgetType": "ProfitAndLoss",
        "BudgetEntryType": "Monthly",
        "StartDate": f"{year}-01-01",
        "EndDate": f"{year}-12-31",
        "Active": not is_inactive("Budget", slot),
        "BudgetDetail": [
            {
                "BudgetDate": f"{year}-{month:02d}-01",
                "Amount": money(books.chance("Budget", slot * 100 + month) % 900000 + 1),
                "AccountRef": account_ref(books, expense),
            }
            for expense in EXPENSES
            for month in range(1, 13)
        ],
        **books.head("Budget", slot, token=9),
    }


def time_activity(books: Books, slot: int) -> Payload:
    """Make a record of hours worked."""
    worker = slot % books.counts["Employee"]
    item = (3 * slot + 1) % books.counts["Item"]
    customer = slot % books.counts["Customer"]
    return {
        "TxnDate": books.date("TimeActivity", slot),
        "NameOf": "Employee",
        "EmployeeRef": books.ref("Employee", worker, display_name(books, "Employee", worker)),
        "CustomerRef": card(books, "Customer", customer).ref,
        "ItemRef": books.ref("Item", item, item_name(books, item)),
        "BillableStatus": ("Billable", "NotBillable", "HasBeenBilled")[slot % 3],
        "Taxable": False,
        "HourlyRate": 15 if slot % 2 else 47.5,
        "Hours": slot % 9,
        "Minutes": slot % 4 * 15,
        "Seconds": 0,
        "Description": books.note("TimeActivity", slot, "On site"),
        **books.head("TimeActivity", slot),
    }


def attachable(books: Books, slot: int) -> Payload:
    """Make a note or a file, mostly linked to an invoice or a bill."""
    row: Payload = {**books.head("Attachable", slot)}
    entity = "Invoice" if slot % 2 else "Bill"
    if books.counts[entity] and slot % 5:
        ref = {"value": books.id(entity, slot % books.counts[entity]), "type": entity}
        row["AttachableRef"] = [{"IncludeOnSend": False, "EntityRef": ref}]
    if slot % 3:
        row |= {
            "FileName": f"scan {slot:05d} Beleg №{slot}.pdf",
            "FileAccessUri": f"/v3/company/files/{row['Id']}",
            "Size": 10240 + slot,
            "ContentType": "application/pdf",
            "Category": "Document",
            "Tag": "",
        }
    if (note := books.note("Attachable", slot, None if slot % 3 else "A note")) is not None:
        row["Note"] = note
    return row


def recurring_transaction(books: Books, slot: int) -> Payload:
    """Make a template: a bill or an invoice with its schedule, wrapped in its type."""
    kind = "Bill" if slot % 2 == 0 else "Invoice"
    if not books.counts[kind]:
        kind = "Invoice" if kind == "Bill" else "Bill"
    make = bill if kind == "Bill" else invoice
    inner: dict[str, Any] = make(books, slot % books.counts[kind])
    for key in ("DocNumber", "TxnDate", "DueDate"):
        inner.pop(key, None)
    inner |= {
        **books.head("RecurringTransaction", slot),
        "LinkedTxn": [],
        "Balance": inner["TotalAmt"],
        "RecurDataRef": {"value": str(slot + 2)},
        "RecurringInfo": {
            "Name": f"Template {slot + 1}",
            "RecurType": "Automated",
            "Active": slot % 4 > 0,
            "ScheduleInfo": {
                "IntervalType": "Monthly",
                "NumInterval": 1,
                "DayOfMonth": 1,
                "NextDate": "2026-08-01",
            },
        },
    }
    return {kind: inner}


def tax_classification(_books: Books, slot: int) -> Payload:
    """Make a tax classification: four of the first level, the rest below them."""
    parent, names = slot % 4, ("Services", "Food", "Clothing", "Software")
    top = f"V1-00{parent + 1}00000"
    if slot < len(names):
        return {
            "applicableTo": ["Service"],
            "code": f"EUC-{parent + 1:08d}",
            "description": f"All kinds of {names[parent].lower()}.",
            "level": "1",
            "id": top,
            "name": names[parent],
        }
    code = f"EUC-{slot:08d}"
    return {
        "applicableTo": ["Inventory", "Noninventory"],
        "code": code,
        "description": f"{names[parent]}, variety {slot} (licensed, not sold).",
        "level": "2",
        "ParentRef": {"name": names[parent], "value": top},
        "id": f"{code}-{top}",
        "name": f"{names[parent]} {slot}",
    }
