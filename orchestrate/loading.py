"""What every way to run the pipeline shares: whose environment, which state, load and verify."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from commands import PROJECT, say
from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Run(Protocol):
        """Runs a command and returns its exit code."""

        def __call__(self, command: str, *arguments: str) -> int:
            """Run it."""


PIPELINE = "tap-quickbooks-raw-to-target-postgres-raw"
VERIFY = "tap-quickbooks-raw-verify"


def environment() -> dict[str, str]:
    """The environment with what `.env` adds to it, and the project; what is empty is not given."""
    given = {**dotenv_values(PROJECT / ".env"), **os.environ, "MELTANO_PROJECT_ROOT": str(PROJECT)}
    return {name: value for name, value in given.items() if value}


def state_id(variables: Mapping[str, str | None], suffix: str | None = None) -> str:
    """The name of the job's state, as Meltano composes it."""
    suffix = suffix or variables.get("MELTANO_RUN_STATE_ID_SUFFIX")
    return ":".join(
        (variables.get("MELTANO_ENVIRONMENT") or "dev", PIPELINE, *([suffix] if suffix else []))
    )


def load_then_verify(run: Run, *load: str) -> tuple[int, int]:
    """Run Meltano with a job, then the verification whatever became of it.

    Args:
        run: Runs a command.
        load: Options and job for `meltano run`.

    Returns:
        Both exit codes.
    """
    say(f"meltano run {' '.join(load)}")
    loaded = run("meltano", "run", *load)
    say("Rows in QuickBooks Online against rows in raw:")
    verified = run(VERIFY)
    if loaded:
        say("The load failed; its last lines say why.")
    return loaded, verified
