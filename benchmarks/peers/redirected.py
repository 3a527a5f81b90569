"""Runs a connector's command with its requests to Intuit sent to the simulator instead.

It is run by the Python of the connector's own environment: the first argument is the command,
the others are the command's. SIMULATOR_URL says where the simulator is.
"""

from __future__ import annotations

import os
import re
import runpy
import sys

from requests import PreparedRequest

INTUIT = re.compile(r"^https://[a-z.-]+\.intuit\.com")


def redirect(base: str) -> None:
    """Let every request that is meant for Intuit be made for another address."""
    prepare_url = PreparedRequest.prepare_url

    def redirected(self: PreparedRequest, url: str, params: object) -> None:
        prepare_url(self, INTUIT.sub(base, url), params)

    PreparedRequest.prepare_url = redirected  # type: ignore[method-assign]  # That is the trick.


if __name__ == "__main__":
    redirect(os.environ["SIMULATOR_URL"])
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
