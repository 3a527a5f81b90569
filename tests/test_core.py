"""The SDK's standard tests of a tap, for every stream, against the simulator."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator
from singer_sdk.testing import get_tap_test_class
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.run import Run
from tap_quickbooks_raw.tap import TapQuickBooksRaw

if TYPE_CHECKING:
    from collections.abc import Iterator

REALM = "4620816365000009"
# The SDK wants valid settings when the test class is made; the fixture fills in the real ones.
CONFIG = {"realm_id": REALM, "client_id": "later", "client_secret": "later"}


class UnlimitedTap(TapQuickBooksRaw):
    """The tap without Intuit's ceilings, which would make the suite wait."""

    @cached_property
    def run(self) -> Run:
        limiter = Limiter(concurrency=8, per_minute=10**6, per_second=10**6)
        return Run(self.settings, limiter)


@pytest.fixture(scope="module", autouse=True)
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A company in which every stream returns records."""
    spec = CompanySpec(realm_id=REALM, rows=150, seed=2, country="ALL")
    with running_simulator([spec]) as simulator:
        CONFIG.update(
            client_id=simulator.client_id,
            client_secret=simulator.client_secret,
            refresh_token=simulator.refresh_token,
            api_url=simulator.url,
            token_url=simulator.token_url,
            token_store=(tmp_path_factory.mktemp("tokens") / "tokens.json").as_uri(),
        )
        yield


TestTap = get_tap_test_class(UnlimitedTap, config=CONFIG, parse_env_config=False)
