"""Answers kept in memory: the tap's whole path except the network."""

from __future__ import annotations

import io
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3
from requests.adapters import HTTPAdapter
from tap_quickbooks_raw.auth import Authenticator
from tap_quickbooks_raw.client import QuickBooksClient
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.policy import RetryPolicy
from tap_quickbooks_raw.token_endpoint import Credentials
from tap_quickbooks_raw.token_stores import open_store
from typing_extensions import override
from uncapped_tap import NO_CEILING, UncappedTap

if TYPE_CHECKING:
    import requests
    from tap_quickbooks_raw.run import Run

Key = tuple[str | None, str]


class Kept(NamedTuple):
    """An answer taken from its socket, and the bearer header that it was asked with."""

    authorization: str
    status: int
    headers: dict[str, str]
    body: bytes


class Keeper(HTTPAdapter):
    """Sends requests and keeps the answers."""

    def __init__(self) -> None:
        self.answers: dict[Key, Kept] = {}
        super().__init__()

    @override
    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **options: Any
    ) -> requests.Response:
        response = super().send(request, *arguments, **options)
        kept = Kept(
            request.headers["Authorization"],
            response.status_code,
            dict(response.headers),
            response.content,
        )
        self.answers[key(request)] = kept
        return replay(self, request, kept)

    @property
    def pages(self) -> dict[str, bytes]:
        """The bodies of the answers that hold rows, by address."""
        return {
            str(url): kept.body
            for (url, _), kept in self.answers.items()
            if "STARTPOSITION" in str(url)
        }


class Replay(HTTPAdapter):
    """Gives the kept answers; nothing leaves the process."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._answers = keeper.answers

    @override
    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **options: Any
    ) -> requests.Response:
        return replay(self, request, self._answers[key(request)])


def replay(
    adapter: HTTPAdapter, request: requests.PreparedRequest, kept: Kept
) -> requests.Response:
    """Make an answer that reads as one from a socket does."""
    raw = urllib3.HTTPResponse(
        io.BytesIO(kept.body), status=kept.status, headers=kept.headers, preload_content=False
    )
    return adapter.build_response(request, raw)


def key(request: requests.PreparedRequest) -> Key:
    """What tells one request from another."""
    return request.url, str(request.body)


class AdaptedClient(QuickBooksClient):
    """The tap's client with another way to send.

    Args:
        tap: The tap that it reads for.
        adapter: Sends the requests.
    """

    def __init__(self, tap: UncappedTap, adapter: HTTPAdapter) -> None:
        settings = tap.settings
        super().__init__(
            settings.api_url,
            settings.realm_id,
            auth=Authenticator(
                Credentials(
                    settings.client_id,
                    settings.client_secret,
                    settings.realm_id,
                    settings.refresh_token,
                ),
                settings.token_url,
                store=open_store(settings),
            ),
            limiter=Limiter(
                concurrency=settings.concurrency, per_minute=NO_CEILING, per_second=NO_CEILING
            ),
            policy=RetryPolicy(attempts=1),
        )
        self._adapter = adapter

    @override
    def _session(self) -> requests.Session:
        session = super()._session()
        session.mount(self._base, self._adapter)
        return session


class AdaptedTap(UncappedTap):
    """The tap with another way to send.

    Args:
        adapter: Sends the requests.
        **arguments: The tap's own.
    """

    def __init__(self, adapter: HTTPAdapter, **arguments: Any) -> None:  # noqa: ANN401  The SDK names them.
        super().__init__(**arguments)
        self._adapter = adapter

    @cached_property
    @override
    def run(self) -> Run:
        run = super().run
        run.client = AdaptedClient(self, self._adapter)
        return run
