"""Pacific time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quickbooks_simulator.clock import pacific, read_instant


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        pytest.param(1710064799, "2024-03-10T01:59:59-08:00", id="last second of winter"),
        pytest.param(1710064800, "2024-03-10T03:00:00-07:00", id="first second of summer"),
        pytest.param(1730622600, "2024-11-03T01:30:00-07:00", id="repeated hour, first time"),
        pytest.param(1730626200, "2024-11-03T01:30:00-08:00", id="repeated hour, second time"),
    ],
)
def test_offsets_follow_daylight_saving(stamp: int, text: str) -> None:
    assert pacific(stamp) == text
    assert read_instant(text) == stamp


@given(st.integers(min_value=1_200_000_000, max_value=3_000_000_000))
def test_what_is_written_reads_back(stamp: int) -> None:
    assert read_instant(pacific(stamp)) == stamp


@pytest.mark.parametrize(
    "text",
    ["2024-07-04", "2024-07-04T07:00:00Z", "2024-07-04T00:00:00", "2024-07-04T09:00:00+02:00"],
)
def test_dates_and_offsets_are_read(text: str) -> None:
    assert read_instant(text) == 1720076400
