"""Sending an answer, whole or broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send


class Protocol(H11Protocol):
    """An HTTP connection that lets the application reach its transport."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Breakage(NamedTuple):
    """How the connection fails."""

    hang: bool = False
    close: bool = False
    truncate: int | None = None


class BreakingResponse(Response):
    """A response that may never come, end early, or be nothing but a closed connection."""

    breakage = Breakage()

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hang, close, truncate = self.breakage
        if not (hang or close or truncate is not None):
            await super().__call__(scope, receive, send)
            return
        if truncate is not None:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            part = bytes(self.body)[:truncate]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if not hang:
            scope["state"]["transport"].close()
        while (await receive())["type"] != "http.disconnect":
            pass
