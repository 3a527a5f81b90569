"""No row missing, stale or extra: whatever is edited, whatever fails, wherever it stops.

`pytest` plays a fixed sample. `make attack` plays many more, each time others, and says how
to play those of a failure again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from attack.strategies import scenarios
from attack.survival import survive

if TYPE_CHECKING:
    from attack.scenario import Scenario

CASES = int(os.environ.get("ATTACK_CASES", "40"))
SEED = int(os.environ.get("ATTACK_SEED", "0"))
SHARE = 50
TEST = "pytest 'tests/attack/test_attack.py::test_no_row_is_missing_stale_or_extra"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(-(-CASES // SHARE)))
def test_no_row_is_missing_stale_or_extra(part: int) -> None:
    @seed(f"{SEED}/{part}")
    @settings(
        max_examples=min(SHARE, CASES),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios())
    def attack(scenario: Scenario) -> None:
        survive(scenario)

    try:
        attack()
    except BaseException as error:
        error.add_note(
            f"To play this again: ATTACK_SEED={SEED} ATTACK_CASES={CASES} {TEST}[{part}]'"
        )
        raise
