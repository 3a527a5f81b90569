"""A bulk update gives 5,000 objects one stamp, five pages and more of them."""

from __future__ import annotations

import os

import pytest

from attack.scenario import SECONDS, Change, Event, Pass, Scenario, Stop, Tie
from attack.survival import survive

MANY = 5_000
ROWS = {"TimeActivity": MANY + 300}
TIE = Tie("TimeActivity", MANY, SECONDS[0])
BULK = Change("update", "TimeActivity", MANY)
EDIT = Change("update", "TimeActivity", 3)
DELETE = Change("delete", "TimeActivity", 2)

IN_THE_PAST = {
    "in the past": Scenario(ROWS, ties=(TIE,), switches={"shuffle_ties": True}),
    "in the past, edited while read": Scenario(
        ROWS,
        ties=(TIE,),
        switches={"shuffle_ties": True},
        passes=(Pass(events=(Event("query", nth=3, repeat=4, before=(DELETE, EDIT)),)),),
    ),
    "in the past, killed while read": Scenario(
        ROWS,
        ties=(TIE,),
        passes=(Pass(stop=Stop("kill", 3_500)), Pass(stop=Stop("term", 2_500))),
    ),
}
MEANWHILE = {
    "while read": Scenario(
        ROWS,
        switches={"shuffle_ties": True},
        passes=(Pass(events=(Event("query", nth=3, before=(BULK,)),)),),
    ),
    "while read, seen later": Scenario(
        ROWS,
        switches={"visibility_delay_seconds": 20},
        passes=(Pass(events=(Event("query", nth=3, before=(BULK,)),), pause=31),),
    ),
    "between two runs, and undone while read": Scenario(
        ROWS,
        passes=(
            Pass(pause=90, later=(BULK._replace(age=45),)),
            Pass(events=(Event("query", nth=4, after=(BULK, DELETE)),)),
        ),
    ),
}
SMALL_PAGES = {
    f"pages of {size}, {name}": scenario._replace(page_size=size)
    for size in (50, 7)
    for name, scenario in (IN_THE_PAST | MEANWHILE).items()
}


@pytest.mark.parametrize(
    "scenario", (IN_THE_PAST | MEANWHILE).values(), ids=[*IN_THE_PAST, *MEANWHILE]
)
def test_5000_rows_of_one_stamp_arrive(scenario: Scenario) -> None:
    survive(scenario)


@pytest.mark.skipif("ATTACK_CASES" not in os.environ, reason="takes minutes: make attack")
@pytest.mark.parametrize("scenario", SMALL_PAGES.values(), ids=SMALL_PAGES)
def test_5000_rows_of_one_stamp_arrive_in_small_pages(scenario: Scenario) -> None:
    survive(scenario)
