"""Receives the browser that Intuit sends back, on a port of this machine alone."""

from __future__ import annotations

import queue
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from typing_extensions import override

from tap_quickbooks_raw.exceptions import ReconnectError, SettingsError
from tap_quickbooks_raw.redirects import belongs, read_answer

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

HOST = "127.0.0.1"
# Browsers open connections ahead and send nothing on them.
IDLE_SECONDS = 10
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tap-quickbooks-raw</title></head>
<body><h1>{}</h1>
<p>{}
You may close this window.</p></body></html>
"""
PAGE = _PAGE.format(
    "The answer has arrived",
    "The command that you started says whether the company is connected.",
).encode()
FOREIGN_PAGE = _PAGE.format(
    "This does not belong to the sign-in",
    "The command that you started still waits: sign in on the page that it names.",
).encode()


class Receiver:
    """Waits for one request to the redirect URI; opened and closed by `with`.

    Anything on this machine, and any page in its browser, can send a request here: only one
    that has the state ends the wait.

    Args:
        redirect_uri: A loopback address with a port and a path.
        state: The state of the sign-in.
        option: The option that the port was given by, for the message.

    Raises:
        SettingsError: The port is in use.
    """

    def __init__(self, redirect_uri: str, state: str, *, option: str = "--port") -> None:
        parts = urlsplit(redirect_uri)
        port = 80 if parts.port is None else parts.port
        try:
            self._server = _Server((HOST, port), parts.path or "/", state)
        except OSError as error:
            raise SettingsError(
                f"{option}: port {port} cannot be used ({error.strerror}); give another one, and "
                "enter the redirect URI with it at developer.intuit.com, too"
            ) from None

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> str:
        """Return the address that the browser asked for.

        Raises:
            ReconnectError: None came in time.
        """
        try:
            return self._server.received.get(timeout=seconds)
        except queue.Empty:
            raise ReconnectError(
                f"Nobody came back from Intuit's page within {seconds:g} s; start again. If the "
                "page complained about redirect_uri, enter the redirect URI at "
                "developer.intuit.com; on a machine without a browser use "
                "`tap-quickbooks-raw-auth login --paste`"
            ) from None


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], path: str, state: str) -> None:
        self.path, self.state = path, state
        self.received: queue.SimpleQueue[str] = queue.SimpleQueue()
        super().__init__(address, _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that closes its connection early does no harm."""


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answer the browser, then hand its address over."""
        match urlsplit(self.path).path:
            case self.server.path if not belongs(read_answer(self.path), self.server.state):
                self._answer(HTTPStatus.BAD_REQUEST, FOREIGN_PAGE)
            case self.server.path:
                try:
                    self._answer(HTTPStatus.OK, PAGE)
                finally:
                    self.server.received.put(self.path)
            case "/favicon.ico":
                self._answer(HTTPStatus.NO_CONTENT)
            case _:
                self._answer(HTTPStatus.NOT_FOUND)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address has a code in it."""

    def _answer(self, status: HTTPStatus, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(content)
