"""The table of entities: what each one may be asked for.

Sources: the per-entity pages of Intuit's API reference and what live companies answered; where they
disagree the documentation wins. `flags` lists the properties that may be filtered and sorted; a
suffix `/f` means filter only, `/s` sort only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Order = Literal["name", "newest", "oldest"]
Removal = Literal["hard", "soft", "none"]
VoidForm = Literal["operation", "update", "fault", "ignored", "refused", "none"]

TAX_PAYMENT_COUNTRIES = frozenset({"AU", "CA", "UK", "GB", "ALL"})
JOURNAL_CODE_COUNTRIES = frozenset({"FR", "ALL"})
TIME_PROPERTIES = ("MetaData.CreateTime", "MetaData.LastUpdatedTime")


class Entity(NamedTuple):
    """One kind of object; `key` is its name in answers."""

    key: str
    flags: str = ""
    order: Order = "newest"
    active: bool = False
    total_count: bool = False
    cdc: bool = True
    removal: Removal = "hard"
    void: VoidForm = "refused"
    alias: str = ""
    countries: frozenset[str] | None = None
    countable: bool = True
    queryable: bool = True

    @property
    def query_name(self) -> str:
        """Return the name that a statement uses."""
        return self.alias or self.key

    @property
    def path(self) -> str:
        """Return the name that an address uses."""
        return self.query_name.lower()

    def permits(self, name: str, use: Literal["f", "s"]) -> bool:
        """Tell whether the property (canonical spelling) may be filtered or sorted."""
        if name == "Id" or name in TIME_PROPERTIES:
            return True
        return any(flag in (name, f"{name}/{use}") for flag in self.flags.split())

    def available_in(self, country: str) -> bool:
        """Tell whether companies of that country have the entity."""
        return self.countries is None or country in self.countries


_PERSON = "DisplayName GivenName MiddleName FamilyName PrintOnCheckName"

ENTITIES: dict[str, Entity] = {
    entity.key: entity
    for entity in (
        Entity(
            "Account",
            "Name FullyQualifiedName AccountType AccountSubType Classification Active"
            " CurrentBalance CurrentBalanceWithSubAccounts",
            order="name",
            active=True,
            removal="soft",
        ),
        Entity(
            "Attachable",
            "FileName Note Category ContentType PlaceName Tag Lat Long Size"
            " ThumbnailTempDownloadUri AttachableRef.EntityRef.Type/f"
            " AttachableRef.EntityRef.value/f",
        ),
        Entity(
            "Bill",
            "VendorRef TxnDate DueDate DocNumber TotalAmt APAccountRef SalesTermRef Balance",
            total_count=True,
            void="fault",
        ),
        Entity(
            "BillPayment",
            "VendorRef TxnDate DocNumber TotalAmt APAccountRef CheckPayment CreditCardPayment",
            void="update",
        ),
        Entity("Budget", "Name BudgetType Active/f", order="name", active=True, total_count=True),
        Entity(
            "Class",
            "Active FullyQualifiedName Name",
            order="name",
            active=True,
            total_count=True,
            removal="soft",
        ),
        Entity("CompanyCurrency", "Active", active=True, total_count=True, removal="soft"),
        Entity("CompanyInfo", removal="none"),
        Entity(
            "CreditCardPaymentTxn",
            "TxnDate VendorRef/f",
            total_count=True,
            alias="CreditCardPayment",
        ),
        Entity(
            "CreditMemo",
            "TxnDate DocNumber Balance TotalAmt CustomerRef/f ProjectRef/f SalesTermRef/f",
        ),
        Entity(
            "Customer",
            f"{_PERSON} CompanyName FullyQualifiedName Active Balance PrimaryEmailAddr/f"
            " BalanceWithJobs/s",
            order="name",
            active=True,
            removal="soft",
        ),
        Entity(
            "CustomerType", "Active", order="name", active=True, removal="none", countable=False
        ),
        Entity(
            "Department",
            "Active FullyQualifiedName Name SubDepartment/s",
            order="name",
            active=True,
            removal="soft",
        ),
        Entity("Deposit", "TxnDate TotalAmt"),
        Entity("Employee", f"{_PERSON} Suffix Active/f", order="name", active=True, removal="soft"),
        Entity("Estimate", "TxnDate DueDate DocNumber CustomerRef/f ProjectRef/f SalesTermRef/f"),
        Entity(
            "ExchangeRate",
            "SourceCurrencyCode/f TargetCurrencyCode/f AsOfDate/f",
            order="oldest",
            total_count=True,
            removal="none",
            countable=False,
        ),
        Entity("InventoryAdjustment", "TxnDate DocNumber"),
        Entity(
            "Invoice",
            "TxnDate DueDate DocNumber Balance TotalAmt CustomerRef/f ProjectRef/f SalesTermRef/f",
            void="operation",
        ),
        Entity(
            "Item",
            "Name Type Active/f FullyQualifiedName/f SubItem/f Taxable/f Sku/f UnitPrice/s"
            " PurchaseCost/s",
            order="name",
            active=True,
            removal="soft",
        ),
        Entity(
            "JournalCode",
            order="name",
            total_count=True,
            cdc=False,
            removal="none",
            countries=JOURNAL_CODE_COUNTRIES,
        ),
        Entity("JournalEntry", "TxnDate DocNumber", void="ignored"),
        Entity(
            "Payment",
            "TxnDate TotalAmt CustomerRef/f PaymentMethodRef/f PaymentRefNum/f",
            void="operation",
        ),
        Entity("PaymentMethod", "Active Name", order="name", active=True, removal="soft"),
        Entity("Preferences", removal="none"),
        Entity("Purchase", "TxnDate DocNumber PaymentType TotalAmt"),
        Entity("PurchaseOrder", "TxnDate DueDate DocNumber"),
        Entity("RecurringTransaction", "RecurDataRef Type/f"),
        Entity(
            "RefundReceipt",
            "TxnDate DocNumber Balance PaymentType CheckPayment CreditCardPayment CustomerRef/f"
            " ProjectRef/f",
            total_count=True,
        ),
        Entity("ReimburseCharge", "CustomerRef/f HasBeenInvoiced/f", removal="none"),
        Entity(
            "SalesReceipt",
            "TxnDate DocNumber Balance CustomerRef/f ProjectRef/f TotalAmt/f",
            void="update",
        ),
        Entity(
            "TaxAgency",
            "DisplayName/s",
            order="name",
            total_count=True,
            cdc=False,
            removal="none",
        ),
        Entity("TaxClassification", removal="none", cdc=False, queryable=False),
        Entity(
            "TaxCode",
            "Name Description Active/f",
            order="name",
            active=True,
            total_count=True,
            cdc=False,
            removal="none",
        ),
        Entity(
            "TaxPayment",
            order="oldest",
            total_count=True,
            removal="none",
            countries=TAX_PAYMENT_COUNTRIES,
        ),
        Entity(
            "TaxRate",
            "Name Description Active AgencyRef TaxReturnLineRef",
            order="name",
            active=True,
            total_count=True,
            cdc=False,
            removal="none",
        ),
        Entity("Term", "Name Active", order="name", active=True, removal="soft"),
        Entity("TimeActivity", "TxnDate ProjectRef/f BillableStatus/f", cdc=False),
        Entity("Transfer", "TxnDate"),
        Entity(
            "Vendor",
            f"{_PERSON} CompanyName Suffix/s Active/f",
            order="name",
            active=True,
            removal="soft",
        ),
        Entity(
            "VendorCredit", "TxnDate DocNumber TotalAmt APAccountRef Balance/s", total_count=True
        ),
    )
}

BY_QUERY_NAME = {entity.query_name.lower(): entity for entity in ENTITIES.values()}
