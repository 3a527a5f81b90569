"""A signal does not cut a refresh in two."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest
from tap_quickbooks_raw.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _ctrl_c_raises() -> Iterator[None]:
    """Give Ctrl-C its usual meaning: a shell that starts its work with ``&`` has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(done: list[str]) -> None:
    """Work during which somebody presses Ctrl-C twice."""
    with unbroken():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("all")


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_a_signal_acts_behind_the_work() -> None:
    done: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        interrupted(done)

    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_signal_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with unbroken():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_are_not_interrupted_anyway() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with unbroken():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [before]
