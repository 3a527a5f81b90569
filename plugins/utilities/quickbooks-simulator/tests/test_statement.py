"""The query language."""

import pytest
from quickbooks_simulator.statement import Condition, Sort, Statement, StatementError, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("select * from Item", Statement("Item"), id="plain"),
        pytest.param("SELECT FROM Item", Statement("Item"), id="no column"),
        pytest.param("Select *, Sku From Item", Statement("Item"), id="star and column"),
        pytest.param(
            "select count(*) from Customer",
            Statement("Customer", ("COUNT",), counts=True),
            id="count",
        ),
        pytest.param(
            "select Id, MetaData.CreateTime from Bill",
            Statement("Bill", ("Id", "MetaData.CreateTime")),
            id="columns",
        ),
        pytest.param(
            "select * from Item ORDERBY Name DESC, Id STARTPOSITION 0 MAXRESULTS 7",
            Statement(
                "Item",
                sorts=(Sort("Name", descending=True), Sort("Id", descending=False)),
                start=1,
                limit=7,
            ),
            id="order and page",
        ),
        pytest.param(
            "select * from Item order by Name asc startposition 11",
            Statement("Item", sorts=(Sort("Name", descending=False),), start=11),
            id="two words",
        ),
        pytest.param(
            r"select * from Customer where DisplayName = 'Adam\'s \\ Shop' and Active in (true,"
            r" false) and Note like '%x%'",
            Statement(
                "Customer",
                conditions=(
                    Condition("DisplayName", "=", (r"Adam's \ Shop",)),
                    Condition("Active", "IN", (True, False)),
                    Condition("Note", "LIKE", ("%x%",)),
                ),
            ),
            id="conditions",
        ),
    ],
)
def test_statements_are_understood(text: str, expected: Statement) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "SELECT * Purchase WHERE TxnDate",
            'QueryParserError: Encountered " <IDENTIFIER> "Purchase "" at line 1, column 10.',
            id="no from",
        ),
        pytest.param(
            "select * from NULL",
            'QueryParserError: Encountered " "null" "NULL "" at line 1, column 15.'
            "\nWas expecting:\n    <IDENTIFIER> ...\n    ",
            id="null",
        ),
        pytest.param(
            "select * from Customer where DisplayName LIKE %x",
            "QueryParserError: Invalid content. Lexical error at line 1, column 47."
            '  Encountered: "%" (37), after : ""',
            id="lexical",
        ),
        pytest.param(
            "select * from",
            'QueryParserError: Encountered "<EOF>" at line 1, column 13.',
            id="end",
        ),
        pytest.param(
            "select * from Bill where TotalAmt > 5",
            'QueryParserError: Encountered " <INTEGER> "5 "" at line 1, column 37.',
            id="bare number",
        ),
        pytest.param(
            "select * from A where b = 'x' or c = 'y'",
            'QueryParserError: Encountered " <IDENTIFIER> "or "" at line 1, column 31.',
            id="or",
        ),
        pytest.param(
            "select * from A where b = 'x''y'",
            'QueryParserError: Encountered " <STRING> "\'y\' "" at line 1, column 30.',
            id="doubled apostrophe",
        ),
    ],
)
def test_other_texts_are_refused_with_the_recorded_words(text: str, message: str) -> None:
    with pytest.raises(StatementError) as refused:
        parse(text)
    assert str(refused.value) == message
