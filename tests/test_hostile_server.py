"""Servers that answer as QBO never should; nothing is lost silently, nothing goes on for ever."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tap_quickbooks_raw import transport
from tap_quickbooks_raw.batches import count_all
from tap_quickbooks_raw.client import QuickBooksClient
from tap_quickbooks_raw.entities import BY_STREAM
from tap_quickbooks_raw.exceptions import CompanyError, EntityError, RetriesExhausted
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.pages import Source
from tap_quickbooks_raw.passes import Passes
from tap_quickbooks_raw.policy import RetryPolicy
from tap_quickbooks_raw.query import Query
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Impatient(RetryPolicy):
    """The retry policy without its waits."""

    __slots__ = ()

    @override
    def wait(self, attempt: int) -> float:
        return 0.0


class Open:
    """Authentication that lets everybody in."""

    def bearer(self, rejected: str = "") -> str:
        return f"token-after-{rejected}"

    def close(self) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Any], QuickBooksClient]]:
    """Start a server that replies by a function; return a client of it."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Any) -> QuickBooksClient:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply(self, parse_qs(urlsplit(self.path).query).get("query", [""])[0])

            def do_POST(self) -> None:
                self.do_GET()

            @override
            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return QuickBooksClient(
            f"http://127.0.0.1:{server.server_port}",
            "77",
            auth=Open(),  # type: ignore[arg-type]
            limiter=Limiter(concurrency=4, per_minute=10**6, per_second=10**6),
            policy=Impatient(2),
        )

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_redirection_is_not_followed(serve: Any) -> None:
    client = serve(lambda handler, _: answer(handler, 302, b"", Location="http://127.0.0.1:9/"))
    with pytest.raises(CompanyError, match="check api_url"):
        client.get("query", query="SELECT * FROM Item")


def test_an_answer_that_only_trickles_in_is_given_up(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "BODY_SECONDS", 0.2)

    def trickle(handler: BaseHTTPRequestHandler, _: str) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.02)
        except OSError:
            pass

    client = serve(trickle)
    with pytest.raises(RetriesExhausted, match="no answer"):
        client.get("query", query="SELECT * FROM Item")


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_without_batches_queries_still_work(serve: Any, status: int) -> None:
    def reply(handler: BaseHTTPRequestHandler, _: str) -> None:
        if handler.command == "POST":
            answer(handler, status, b"<html>no</html>", **{"Retry-After": "0.01"})
        else:
            answer(handler, 200, b'{"QueryResponse": {"totalCount": 3}}')

    client = serve(reply)
    client._limiter.pause = lambda _: None  # type: ignore[method-assign]
    assert count_all(client, [Query("Item"), Query("Term")]) == [None, None]
    assert Source(client, BY_STREAM["qb_items"]).count(Query("Item")) == 3


def test_the_same_page_for_every_position_is_not_read_for_ever(serve: Any) -> None:
    page = json.dumps({"QueryResponse": {"Item": [{"Id": str(n)} for n in range(20)]}}).encode()
    client = serve(lambda handler, _: answer(handler, 200, page))
    source = Source(client, BY_STREAM["qb_items"], size=20)
    passes = Passes(source, Query("Item"), take=lambda rows: rows, closed=False)
    with pytest.raises(EntityError, match="again and again"):
        list(passes.pages())
    assert client.calls < 10


def test_a_resource_of_its_own_that_is_not_there_is_unavailable(serve: Any) -> None:
    client = serve(lambda handler, _: answer(handler, 404, b"<html>404</html>"))
    with pytest.raises(EntityError, match="404"):
        Source(client, BY_STREAM["qb_tax_classifications"]).fetch_all()


def test_single_bytes_of_another_charset_leave_the_rest_of_the_page_alone(serve: Any) -> None:
    body = '{"QueryResponse": {"Item": [{"Id": "1", "Name": "café €"}]}}'.encode()
    body = body.replace(b'"1"', b'"1", "Note": "caf\xe9"')
    client = serve(lambda handler, _: answer(handler, 200, body))
    page = Source(client, BY_STREAM["qb_items"]).fetch(Query("Item"), position=1, size=1)
    row = json.loads(bytes(page.rows[0].payload))
    assert (row["Name"], row["Note"]) == ("café €", "café")
