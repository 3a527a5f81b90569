"""The query language: text to `Statement`.

Grammar: https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

Value = str | bool

_GRAMMAR = r"""
start: SELECT [columns] FROM NAME [where] [order] [start_at] [limit]

columns: count | column ("," column)*
count: COUNT "(" STAR ")"
column: NAME | STAR

where: WHERE condition (AND condition)*
condition: NAME operator value           -> comparison
         | NAME IN "(" value ("," value)* ")" -> membership
operator: OPERATOR | LIKE
value: STRING | TRUE | FALSE | CURRENT_DATE

order: (ORDERBY | ORDER BY) sort ("," sort)*
sort: NAME [ASC | DESC]

start_at: STARTPOSITION INTEGER
limit: MAXRESULTS INTEGER

SELECT.2: /select\b/i
FROM.2: /from\b/i
WHERE.2: /where\b/i
AND.2: /and\b/i
IN.2: /in\b/i
LIKE.2: /like\b/i
ORDERBY.2: /orderby\b/i
ORDER.2: /order\b/i
BY.2: /by\b/i
ASC.2: /asc\b/i
DESC.2: /desc\b/i
STARTPOSITION.2: /startposition\b/i
MAXRESULTS.2: /maxresults\b/i
COUNT.2: /count(?=\s*\()/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
CURRENT_DATE.2: /current_date\b/i
NAME: /(?!null\b)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*/i
STRING: /'(\\.|[^'\\])*'/s
INTEGER: /\d+/
OPERATOR: /<=|>=|=|<|>/
STAR: "*"

%ignore /\s+/
"""

_IMAGES = {"NAME": "<IDENTIFIER>", "INTEGER": "<INTEGER>", "STRING": "<STRING>"}


class Condition(NamedTuple):
    """`property operator value`; `IN` has several values."""

    name: str
    operator: str
    values: tuple[Value, ...]


class Sort(NamedTuple):
    """One sort criterion."""

    name: str
    descending: bool


class Statement(NamedTuple):
    """A parsed query; `columns` is empty for `SELECT *`."""

    entity: str
    columns: tuple[str, ...] = ()
    counts: bool = False
    conditions: tuple[Condition, ...] = ()
    sorts: tuple[Sort, ...] = ()
    start: int = 1
    limit: int = 100


class StatementError(Exception):
    """The text is not a statement; the message is the `Detail` of fault 4000."""


class _Limit(NamedTuple):
    number: int


class _Start(NamedTuple):
    number: int


class _Where(NamedTuple):
    conditions: tuple[Condition, ...]


class _Order(NamedTuple):
    sorts: tuple[Sort, ...]


class _Columns(NamedTuple):
    names: tuple[str, ...]
    counts: bool


class _Build(Transformer[Token, Statement]):
    """Turn the parse tree into a `Statement`."""

    def start(self, parts: list[object]) -> Statement:
        """Collect the clauses."""
        columns = _Columns((), counts=False)
        conditions: tuple[Condition, ...] = ()
        sorts: tuple[Sort, ...] = ()
        name, start, limit = "", 1, 100
        for part in parts:
            match part:
                case _Columns():
                    columns = part
                case Token(type="NAME"):
                    name = str(part)
                case _Start(number):
                    start = max(number, 1)
                case _Limit(number):
                    limit = number
                case _Where(conditions):
                    pass
                case _Order(sorts):
                    pass
                case _:
                    pass
        return Statement(name, columns.names, columns.counts, conditions, sorts, start, limit)

    def columns(self, parts: list[str]) -> _Columns:
        """Keep the names; a star among them means the whole object."""
        names = tuple(parts)
        return _Columns(() if "*" in names else names, counts=names == ("COUNT",))

    def count(self, _parts: list[Token]) -> str:
        """Mark a count."""
        return "COUNT"

    def column(self, parts: list[Token]) -> str:
        """Keep the name."""
        return str(parts[0])

    def where(self, parts: list[object]) -> _Where:
        """Drop the keywords."""
        return _Where(tuple(part for part in parts if isinstance(part, Condition)))

    def comparison(self, parts: list[str]) -> Condition:
        """Build `name operator value`."""
        return Condition(str(parts[0]), parts[1], (parts[2],))

    def membership(self, parts: list[str]) -> Condition:
        """Build `name IN (values)`."""
        return Condition(str(parts[0]), "IN", tuple(parts[2:]))

    def operator(self, parts: list[Token]) -> str:
        """Keep the operator in upper case."""
        return str(parts[0]).upper()

    def value(self, parts: list[Token]) -> Value:
        """Unquote a text; a Boolean becomes one."""
        token = parts[0]
        match token.type:
            case "TRUE" | "FALSE":
                return token.type == "TRUE"
            case "CURRENT_DATE":
                return "CURRENT_DATE"
            case _:
                return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)

    def order(self, parts: list[object]) -> _Order:
        """Drop the keywords."""
        return _Order(tuple(part for part in parts if isinstance(part, Sort)))

    def sort(self, parts: list[Token | None]) -> Sort:
        """Build one criterion; ascending unless it says otherwise."""
        return Sort(str(parts[0]), descending=parts[1] is not None and parts[1].type == "DESC")

    def start_at(self, parts: list[Token]) -> _Start:
        """Read STARTPOSITION."""
        return _Start(int(parts[1]))

    def limit(self, parts: list[Token]) -> _Limit:
        """Read MAXRESULTS."""
        return _Limit(int(parts[1]))


_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)
_KEYWORDS = {
    terminal.name: terminal.name.lower()
    for terminal in _PARSER.terminals
    if terminal.name not in _IMAGES
}


@lru_cache(maxsize=4096)
def parse(text: str) -> Statement:
    """Parse a statement.

    Raises:
        StatementError: It does not follow the grammar.
    """
    try:
        return _Build().transform(_PARSER.parse(text))
    except UnexpectedCharacters as error:
        if word := re.match(r"null\b", text[error.pos_in_stream :], re.IGNORECASE):
            raise StatementError(
                f'QueryParserError: Encountered " "null" "{word[0]} "" at line {error.line},'
                f" column {error.column}.\nWas expecting:\n    <IDENTIFIER> ...\n    "
            ) from None
        char = text[error.pos_in_stream :][:1]
        raise StatementError(
            f"QueryParserError: Invalid content. Lexical error at line {error.line},"
            f' column {error.column}.  Encountered: "{char}" ({ord(char)}), after : ""'
        ) from None
    except UnexpectedToken as error:
        raise StatementError(_encountered(text, error)) from None
    except UnexpectedInput as error:
        raise StatementError(f"QueryParserError: {error}") from None


def _encountered(text: str, error: UnexpectedToken) -> str:
    token = error.token
    if token.type == "$END":
        return f'QueryParserError: Encountered "<EOF>" at line 1, column {len(text)}.'
    image = _IMAGES.get(token.type) or f'"{_KEYWORDS.get(token.type, str(token)).lower()}"'
    return (
        f'QueryParserError: Encountered " {image} "{token} "" at line {error.line},'
        f" column {error.column}."
    )
