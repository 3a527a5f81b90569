"""A clock that goes wrong costs a refresh now and then, never the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.auth import Authenticator
    from tap_quickbooks_raw.client import QuickBooksClient

    Start = Callable[..., RunningSimulator]
    Authenticate = Callable[..., Authenticator]
    Connect = Callable[..., QuickBooksClient]

HOUR = 3600
SKEWS = [-400 * 24 * HOUR, -5 * HOUR, -HOUR, HOUR, 5 * HOUR, 400 * 24 * HOUR]


def refreshes(simulator: RunningSimulator) -> int:
    return sum(entry.operation == "token" for entry in simulator.requests())


@pytest.mark.parametrize("skew", SKEWS)
def test_a_clock_that_is_wrong_all_the_time_costs_no_more_refreshes(
    own_simulator: Start, authenticate: Authenticate, connect: Connect, skew: int
) -> None:
    simulator = own_simulator(rotation="strict", counts={"Invoice": 1})

    def now() -> float:
        return simulator.now() + skew

    for hours in range(1, 4):
        # Another process, as each run is.
        client = connect(simulator, auth=authenticate(simulator, now=now))
        for _ in range(5):
            assert client.get("query", query="SELECT * FROM Invoice")
        assert refreshes(simulator) == hours
        simulator.advance(HOUR)


@pytest.mark.parametrize("skew", SKEWS)
def test_a_clock_that_is_set_right_costs_one_refresh_at_most(
    own_simulator: Start, authenticate: Authenticate, connect: Connect, skew: int
) -> None:
    simulator = own_simulator(rotation="strict", counts={"Invoice": 1})
    error = skew
    auth = authenticate(simulator, now=lambda: simulator.now() + error)
    client = connect(simulator, auth=auth)
    client.get("query", query="SELECT * FROM Invoice")
    error = 0
    for _ in range(5):
        client.get("query", query="SELECT * FROM Invoice")
    assert refreshes(simulator) <= 2

    before = refreshes(simulator)
    simulator.advance(HOUR)
    for _ in range(5):
        client.get("query", query="SELECT * FROM Invoice")
    assert refreshes(simulator) <= before + 1


@pytest.mark.parametrize("skew", SKEWS)
def test_workers_whose_clocks_disagree_share_their_tokens(
    own_simulator: Start, authenticate: Authenticate, connect: Connect, skew: int
) -> None:
    """One refresh an hour for each clock at most, however often they take turns."""
    simulator = own_simulator(rotation="strict", counts={"Invoice": 1})
    clients = [
        connect(simulator, auth=authenticate(simulator)),
        connect(simulator, auth=authenticate(simulator, now=lambda: simulator.now() + skew)),
    ]
    for hours in range(1, 4):
        for _ in range(5):
            for client in clients:
                assert client.get("query", query="SELECT * FROM Invoice")
        assert hours <= refreshes(simulator) <= 2 * hours
        simulator.advance(HOUR)


def test_tokens_that_end_before_their_time_are_renewed_when_qbo_refuses_them(
    own_simulator: Start, authenticate: Authenticate, connect: Connect
) -> None:
    simulator = own_simulator(rotation="strict", counts={"Invoice": 1})
    client = connect(simulator, auth=authenticate(simulator))
    client.get("query", query="SELECT * FROM Invoice")
    simulator.expire_access_tokens()

    for _ in range(5):
        client.get("query", query="SELECT * FROM Invoice")
    assert refreshes(simulator) == 2
