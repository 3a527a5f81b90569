"""Running the simulator: in a thread of a test, or as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import uvicorn
from typing_extensions import override
from uvicorn.server import HANDLED_SIGNALS

from quickbooks_simulator.app import application
from quickbooks_simulator.company import CompanySpec
from quickbooks_simulator.control import read_edits, rows_of
from quickbooks_simulator.delivery import Protocol
from quickbooks_simulator.entities import ENTITIES
from quickbooks_simulator.settings import Settings
from quickbooks_simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from quickbooks_simulator.requestlog import Entry, Meter

__all__ = ["CompanySpec", "RunningSimulator", "running_simulator"]
T = TypeVar("T")
KEEP_ALIVE_SECONDS = 120
START_SECONDS = 10.0
CALL_SECONDS = 120.0


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        OSError: The port is in use.
    """
    # With the protocol named, asyncio switches Nagle's algorithm off; else answers wait 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the base address of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """A server that ends at once and in peace: on a signal, or when told from another thread."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """End the server; from any thread."""
        self.should_exit = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._ending.set)

    def call(self, work: Callable[[], T]) -> T:
        """Run something in the event loop, from another thread, and return its result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - handed to the caller
                future.set_exception(error)

        if self._loop is None:
            raise RuntimeError("The simulator does not run.")
        self._loop.call_soon_threadsafe(run)
        return future.result(timeout=CALL_SECONDS)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    @override
    async def main_loop(self) -> None:
        await self._ending.wait()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.end()

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {name: signal.signal(name, self.handle_exit) for name in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for name, handler in handlers.items():
                signal.signal(name, handler)


def server_for(simulator: Simulator) -> Server:
    """Return the server of a simulator; it ends at once, whatever hangs."""
    config = uvicorn.Config(
        application(simulator),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
        h11_max_incomplete_event_size=65536,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    return Server(config)


class RunningSimulator:
    """A handle on a running simulator. Its methods may be called from any thread."""

    def __init__(self, simulator: Simulator, url: str, server: Server) -> None:
        self._simulator, self._server = simulator, server
        self.url = url
        self.token_url = f"{url}/oauth2/v1/tokens/bearer"
        self.client_id, self.client_secret = simulator.client_id, simulator.client_secret
        self.realm_ids = list(simulator.companies)

    @property
    def refresh_token(self) -> str:
        """Return the refresh token that is valid now."""
        return self._server.call(self._simulator.refresh_token)

    def requests(self) -> list[Entry]:
        """Return the log of requests, oldest first."""
        return self._server.call(self._simulator.log.entries)

    def clear_requests(self) -> None:
        """Empty the log of requests."""
        self._server.call(self._simulator.log.clear)

    def rows(self, realm_id: str, entity: str) -> list[bytes]:
        """Return every living object, exactly as served, in order of creation."""
        company = self._simulator.companies[realm_id]

        def read() -> list[bytes]:
            company.reveal(self._simulator.clock.now())
            return rows_of(company.table(ENTITIES[entity]))

        return self._server.call(read)

    def counts(self, realm_id: str) -> dict[str, int]:
        """Return the number of living objects of every entity."""
        return self._server.call(self._simulator.companies[realm_id].counts)

    def edit(self, realm_id: str, edits: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """Edit data as another user would; return the ids that each edit touched."""
        read = read_edits(edits)
        return self._server.call(lambda: self._simulator.edit(realm_id, read))

    def add_rules(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Script trouble."""
        self._server.call(lambda: self._simulator.rules.add(list(rules)))

    def clear_rules(self) -> None:
        """End all scripted trouble."""
        self._server.call(self._simulator.rules.clear)

    def configure(self, **switches: Any) -> None:  # noqa: ANN401 - see Settings
        """Change switches; see `Settings`."""
        self._server.call(lambda: self._simulator.configure(switches))

    def advance(self, seconds: float) -> None:
        """Move the server's clock."""
        self._server.call(lambda: self._simulator.advance(seconds))

    def now(self) -> float:
        """Return the server's time."""
        return self._simulator.clock.now()

    def expire_access_tokens(self) -> None:
        """Let every access token expire."""
        self._server.call(self._simulator.tokens.expire_access)

    def meter(self, realm_id: str) -> Meter:
        """Return how many calls of a company were billed."""
        return self._server.call(
            lambda: msgspec.structs.replace(self._simulator.meters.of(realm_id))
        )


@contextmanager
def running_simulator(
    companies: Sequence[CompanySpec] | None = None,
    *,
    grants: Mapping[str, Sequence[str]] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    **settings: Any,  # noqa: ANN401 - see Settings
) -> Iterator[RunningSimulator]:
    """Run a simulator on a free port in a thread.

    Args:
        companies: What it holds; by default one company with every entity.
        grants: Refresh tokens and the realms that they open; by default one for all companies.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        settings: Switches; see `Settings`.
    """
    specs = [CompanySpec(rows=3000, country="ALL")] if companies is None else companies
    simulator = Simulator(specs, settings=Settings().changed(settings), grants=grants)
    listener = bind(host, port)
    server = server_for(simulator)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True
    )
    thread.start()
    try:
        deadline = monotonic() + START_SECONDS
        while not server.started and thread.is_alive() and monotonic() < deadline:
            sleep(0.002)
        yield RunningSimulator(simulator, address_of(listener), server)
    finally:
        server.end()
        thread.join(timeout=START_SECONDS)
