"""Words, names and awkward values that generated rows are made of."""
# ruff: noqa: RUF001 - letters that look like others are what these texts are for.

from __future__ import annotations

from typing import Final

from msgspec import Raw

GIVEN: Final = [
    "Amélie",
    "Björn",
    "Chidi",
    "Dolores",
    "Eamon",
    "Farida",
    "Gustav",
    "Hana",
    "Ivo",
    "Jasmine",
    "Kofi",
    "Lucía",
    "Marek",
    "Noor",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomas",
    "Ulla",
    "Viktor",
    "Wanda",
    "Ximena",
    "Yusuf",
    "Zoë",
]
FAMILY: Final = [
    "Aguilar",
    "Bergström",
    "Castellanos",
    "Dubois",
    "Eze",
    "Fitzgerald",
    "Grönlund",
    "Hashimoto",
    "Ivanov",
    "Jankowski",
    "Kaya",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "O'Brien",
    "Pereira",
    "Quist",
    "Rasmussen",
    "Silva",
    "Tanaka",
    "Usman",
    "Venter",
    "Whitfield",
    "Xu",
    "Yılmaz",
    "Zimmermann",
]
TRADES: Final = (
    "Landscaping",
    "Catering",
    "Bike Works",
    "Orchard",
    "Print & Sign",
    "Veterinary Clinic",
    "Brewery",
    "Tiling",
    "Books",
    "Solar",
    "Dental Practice",
    "Yoga Studio",
    "Freight",
    "Bäckerei",
    "Plumbing",
    "Design",
)
STREETS: Final = (
    "Cedar Hollow Rd.",
    "Harbor View Ave.",
    "Old Mill Lane",
    "Quarry St.",
    "Sunset Ridge Dr.",
    "Rue de l'Église",
    "Mariposa Ct.",
    "Foundry Way",
)
CITIES: Final = (
    ("Monterra", "CA", "94021", "37.4419312", "-122.1430981"),
    ("Half Moon Cove", "CA", "94088", "37.4636110", "-122.4285862"),
    ("Redfield", "AZ", "85701", "32.2217429", "-110.9264790"),
    ("South Plains", "NJ", "07080", "INVALID", "INVALID"),
    ("Saint-Émilien", "CA", "93242", "37.0024112", "-121.8812034"),
)
PRODUCTS: Final = (
    ("Granite Paver", "Granite paver, 40 x 40 cm"),
    ("Site Survey", "Survey of the site, with a drawing to scale"),
    ("Irrigation Kit", "Irrigation kit: timer, hoses and twelve emitters"),
    ("Hourly Labor", "Labor by the hour, crew of two"),
    ("Topsoil", "Screened topsoil by the cubic yard"),
    ("Maintenance Visit", "Monthly maintenance visit"),
    ("Lighting Set", "Low-voltage lighting set, 8 lamps"),
    ("Delivery", "Delivery inside the county"),
    ("Cedar Fence Panel", "Cedar fence panel 6' x 8'"),
    ('Pump 3/4"', 'Circulation pump 3/4" with strainer'),
)
MEMOS: Final = (
    "It was a pleasure to work for you. Please pay within the term.",
    "Please quote the number of this document with your payment.",
    "Net terms as agreed. Late payments bear interest.",
    "Questions? Ask for the office at extension 12.",
)

# Texts that trip careless readers. The raw ones cannot be written by an encoder: an escaped NUL, a
# lone surrogate, and the six characters backslash u 0 0 0 0 as text.
AWKWARD: Final[tuple[str, ...]] = (
    "Quotes \"double\" and 'single' and a backslash \\ at C:\\books\\2024",
    "First line\nsecond line\r\nthird line\twith a tab",
    "Façade – naïve – Ünïcödé – 株式会社サクラ – שלום – مرحبا",
    "Emoji 🧾💶👩‍🔧🇨🇦 and a combining e\u0301",
    "</script><b>&amp;</b> %s {0} ${x} ; DROP TABLE invoices; --",
    "   leading and trailing blanks   ",
    "No\u00a0break, zero\u200bwidth, line\u2028separator and \u007f",
    "NULL",
    "-0.10",
    "2024-11-03T01:30:00-07:00",
)
ESCAPES: Final = (
    Raw(rb'"NUL \u0000 inside"'),
    Raw(rb'"lone surrogate \ud83d inside"'),
    Raw(rb'"six characters \\u0000 inside"'),
)
CURRENCIES: Final = (
    ("CAD", "Canadian Dollar", 0.73),
    ("EUR", "Euro", 1.08),
    ("GBP", "British Pound Sterling", 1.27),
    ("JPY", "Japanese Yen", 0.0067),
    ("IRR", "Iranian Rial", 0.0000238),
)
COUNTRIES: Final = {
    "US": ("US", "USD", "United States Dollar"),
    "ALL": ("US", "USD", "United States Dollar"),
    "CA": ("CA", "CAD", "Canadian Dollar"),
    "FR": ("FR", "EUR", "Euro"),
    "UK": ("GB", "GBP", "British Pound Sterling"),
    "GB": ("GB", "GBP", "British Pound Sterling"),
    "AU": ("AU", "AUD", "Australian Dollar"),
}
