"""JSON that keeps digits and characters."""

import pytest
from quickbooks_simulator.jsontext import dumps, loads


@pytest.mark.parametrize(
    "text",
    [
        rb'{"a":0.10,"b":140.00,"c":35,"d":1234567890123.4567891,"e":[],"f":{},"g":true}',
        rb'{"nul":"\u0000","six":"\\u0000","quote":"\"","line":"\n"}',
        rb'{"lone":"\ud83d","rate":0.0000238095,"nothing":null}',
        '{"emoji":"🧾","wide":"株式会社"}'.encode(),
    ],
)
def test_what_is_read_is_written_again(text: bytes) -> None:
    assert dumps(loads(text)) == text
