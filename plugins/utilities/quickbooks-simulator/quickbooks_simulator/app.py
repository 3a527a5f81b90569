"""The ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from quickbooks_simulator import control, oauth
from quickbooks_simulator.api import company_endpoint

if TYPE_CHECKING:
    from quickbooks_simulator.simulator import Simulator


def application(simulator: Simulator) -> Starlette:
    """Return the application that serves a simulator."""
    app = Starlette(
        routes=[
            Route("/v3/company/{realm}/{path:path}", company_endpoint, methods=["GET", "POST"]),
            Route("/oauth2/v1/tokens/bearer", oauth.token_endpoint, methods=["POST"]),
            Route("/v2/oauth2/tokens/revoke", oauth.revoke_endpoint, methods=["POST"]),
            Route("/connect/oauth2", oauth.authorize_page, methods=["GET", "POST"]),
            Route("/.well-known/openid_configuration", oauth.discovery_document),
            Route("/.well-known/openid_sandbox_configuration", oauth.discovery_document),
            Route("/v1/openid_connect/userinfo", oauth.user_info),
            *control.ROUTES,
        ]
    )
    app.state.simulator = simulator
    return app
