"""The SDK's standard tests of a target, as the stock loader is configured and as this one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.suites import target_tests as standard
from singer_sdk.testing.target_tests import (
    TargetEncodedStringData,
    TargetMultipleStateMessages,
    TargetRecordMissingRequiredProperty,
)
from target_postgres_raw.target import TargetPostgresRaw

if TYPE_CHECKING:
    from local_postgres.server import Connection

# With the state of the last record alone, so it needs a batch of every message.
OTHERS = (TargetMultipleStateMessages,)
# The stock loader runs neither: NUL characters are none of PostgreSQL's, and the key is missing.
UNFIT = (TargetEncodedStringData, TargetRecordMissingRequiredProperty)
TESTS = SingerTestSuite(
    kind="target",
    tests=[test for test in standard.tests if test not in (*OTHERS, *UNFIT)],
)
# The SDK wants valid settings when the class is made; the fixture fills in the real ones.
STOCK: dict[str, Any] = {"host": "", "port": 1, "user": "", "password": "", "database": "later"}
RAW = STOCK | {
    "default_target_schema": "raw",
    "validate_records": False,
    "add_record_metadata": False,
    "activate_version": False,
}
SANITIZED = RAW | {"default_target_schema": "sanitized", "sanitize_null_text_characters": True}


@pytest.fixture(scope="module", autouse=True)
def _place(server: Connection) -> None:
    for config in (STOCK, RAW, SANITIZED):
        config.update(server._asdict())


def _tests(config: dict[str, Any], suite: SingerTestSuite) -> type:
    return get_target_test_class(
        target_class=TargetPostgresRaw,
        config=config,
        custom_suites=[suite],
        include_target_tests=False,
    )


TestStockSettings = _tests(STOCK, TESTS)
TestRawSettings = _tests(RAW, TESTS)
TestSanitized = _tests(SANITIZED, SingerTestSuite(kind="target", tests=[TargetEncodedStringData]))
