"""A worker of the rotation tests: refreshes as often as it is told, or dies at a step.

It is started as a process of its own, with a file that both sides see: byte 0 is 1 while the
answer to a refresh may be the only copy of the next token; bytes 1 and 2 count the rotations.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.sealing import Seal
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_stores import store_at

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tap_quickbooks_raw.tokens import Token, TokenKey, TokenStore


class Order(NamedTuple):
    """What to do.

    Attributes:
        store: Address of the token store.
        token_url: Address of the token endpoint.
        keys: Client id, secret, realm and the configured refresh token.
        marks: The file that both sides see.
        rotations: How many are to be done in the end.
        die: The step to be killed at, if any.
        begin: When the worker's clock begins; it runs a thousand times as fast as others.
    """

    store: str
    token_url: str
    keys: tuple[str, str, str, str]
    marks: str
    rotations: int = 1
    die: str = ""
    begin: float = 0.0


class Watched:
    """A store that tells where a refresh is, and where it may end."""

    # Nobody cuts the connections of these workers: a lock ends with its process alone.
    is_lock_certain = True

    def __init__(self, store: TokenStore, marks: mmap.mmap, die: str) -> None:
        self._store, self._marks, self._die = store, marks, die

    def lock(self, key: TokenKey) -> AbstractContextManager[None]:
        return self._store.lock(key)

    def load(self, key: TokenKey) -> Token | None:
        return self._store.load(key)

    def delete(self, key: TokenKey) -> None:
        self._store.delete(key)

    def keys(self) -> list[TokenKey]:
        return self._store.keys()

    def prove(self) -> None:
        self._store.prove()

    def is_sealed(self, key: TokenKey) -> bool:
        return self._store.is_sealed(key)

    def save(self, key: TokenKey, token: Token) -> None:
        before, after = (
            ("before the note", "after the note")
            if token.asked_at
            else ("after the answer", "after the save")
        )
        self._step(before)
        self._store.save(key, token)
        if token.asked_at:
            self._marks[0] = 1
        else:
            self._marks[0] = 0
            self._marks[1:3] = (self.rotations + 1).to_bytes(2)
        self._step(after)

    @property
    def rotations(self) -> int:
        return int.from_bytes(self._marks[1:3])

    def _step(self, name: str) -> None:
        if name == self._die:
            os.kill(os.getpid(), signal.SIGKILL)


def work(order: Order) -> None:
    """Rotate until it is enough; what a killed worker has done before counts."""
    with open(order.marks, "r+b") as file:  # noqa: PTH123  Named by its text.
        marks = mmap.mmap(file.fileno(), 0)
    store = Watched(store_at(order.store, Seal()), marks, order.die)
    # With a lifetime of a second on the server, each access token has ended when it is looked at.
    now = (lambda: order.begin + (time.time() - order.begin) * 1000) if order.begin else time.time
    auth = Authenticator(Credentials(*order.keys), order.token_url, store=store, now=now)
    while store.rotations < order.rotations:
        auth.bearer()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    work(Order(*json.loads(sys.argv[1])))
