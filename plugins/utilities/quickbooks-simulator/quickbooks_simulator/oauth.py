"""OAuth 2.0: consent page, token endpoint, revocation, discovery and user info."""

from __future__ import annotations

import asyncio
import base64
import binascii
from html import escape
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from quickbooks_simulator.delivery import Breakage, BreakingResponse
from quickbooks_simulator.faults import JSON, Answer
from quickbooks_simulator.jsontext import encode, loads
from quickbooks_simulator.requestlog import Entry
from quickbooks_simulator.tokens import REFRESH_SECONDS, GrantError
from quickbooks_simulator.troubles import NAMED

if TYPE_CHECKING:
    from starlette.requests import Request

    from quickbooks_simulator.rules import Do
    from quickbooks_simulator.simulator import Simulator
    from quickbooks_simulator.tokens import Chain

SCOPES = "com.intuit.quickbooks.accounting", "com.intuit.quickbooks.payment"
OPENID = "openid", "profile", "email", "phone", "address"
HARD_SECONDS = 157680000
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Connect to QuickBooks (simulator)</title></head>
<body><main><h1>Connect to QuickBooks (simulator)</h1>
<p>{client} wants to read and write the data of a company.</p>
<form method="post"><label>Company <select name="realm">{options}</select></label>
<button id="connect" name="choice" value="connect">Connect</button>
<button id="cancel" name="choice" value="cancel">Cancel</button></form>
</main></body></html>
"""


def _simulator(request: Request) -> Simulator:
    simulator: Simulator = request.app.state.simulator
    return simulator


def client_of(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Return the client id and secret of a request: Basic, or in the form."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(name), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


async def token_endpoint(request: Request) -> Response:
    """Exchange a code or refresh a token."""
    simulator = _simulator(request)
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    entry = simulator.log.open(
        Entry(
            seq=0,
            time=simulator.clock.now(),
            method="POST",
            path=request.url.path,
            operation="token",
            statement=form.get("grant_type", ""),
        )
    )
    begun = perf_counter()
    fired = simulator.rules.fire(entry)
    deeds = [rule.do for rule in fired if rule.do]
    simulator.edit("", [edit for rule in fired for edit in rule.before])
    for do in deeds:
        await asyncio.sleep(do.delay)
    answer = _scripted(simulator, deeds) or _grant(simulator, request, form)
    simulator.edit("", [edit for rule in fired for edit in rule.after])
    if simulator.settings.token_latency_ms:
        await asyncio.sleep(simulator.settings.token_latency_ms / 1000)
    entry.status, entry.duration = answer.status, round(perf_counter() - begun, 6)
    headers = {
        "Content-Type": answer.content_type,
        "Cache-Control": "no-cache, no-store",
        "Date": simulator.clock.http_date(),
        **dict(answer.headers),
    }
    response = BreakingResponse(answer.body, answer.status, headers)
    for do in deeds:
        if do.hang or do.close or do.truncate is not None:
            response.breakage = Breakage(do.hang, do.close, do.truncate)
    return response


def _scripted(simulator: Simulator, deeds: list[Do]) -> Answer | None:
    for do in deeds:
        headers = tuple(do.headers.items())
        if do.fault:
            return NAMED[do.fault](simulator.clock)._replace(headers=headers)
        if do.status is not None:
            return Answer(do.status, do.body.encode(), do.content_type, headers)
    return None


def _refused(error: str, status: int = 400) -> Answer:
    return Answer(status, encode({"error": error}))


def _grant(simulator: Simulator, request: Request, form: dict[str, str]) -> Answer:
    if client_of(request, form) != (simulator.client_id, simulator.client_secret):
        return _refused("invalid_client", 401)
    try:
        chain = _chain(simulator, form)
    except GrantError as error:
        simulator.save_tokens()
        return _refused(str(error))
    return _granted(simulator, request, chain)


def _chain(simulator: Simulator, form: dict[str, str]) -> Chain:
    """Return the connection that a grant opens or goes on with."""
    now, tokens, settings = simulator.clock.now(), simulator.tokens, simulator.settings
    match form:
        case {"grant_type": "refresh_token", "refresh_token": value}:
            chain = tokens.refresh(value, now, settings.rotation)
            if set(chain.realms) <= set(settings.revoked_realms):
                raise GrantError("invalid_grant")
            return chain
        case {"grant_type": "authorization_code", "code": code, "redirect_uri": address}:
            return tokens.exchange(code, address, now)
        case {"grant_type": kind} if kind not in ("refresh_token", "authorization_code"):
            raise GrantError("unsupported_grant_type")
        case _:
            raise GrantError("invalid_request")


def _granted(simulator: Simulator, request: Request, chain: Chain) -> Answer:
    now, seconds = simulator.clock.now(), simulator.settings.access_token_seconds
    access = simulator.tokens.access_token(chain, now, seconds)
    simulator.save_tokens()
    body: dict[str, object] = {
        "token_type": "bearer",
        "access_token": access,
        "refresh_token": chain.refresh_token,
        "expires_in": seconds,
        "x_refresh_token_expires_in": REFRESH_SECONDS - int(now - chain.issued_at),
    }
    if request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() == "true":
        body["x_refresh_token_hard_expires_in"] = HARD_SECONDS
    return Answer(200, encode(body), JSON)


async def revoke_endpoint(request: Request) -> Response:
    """End a connection."""
    simulator = _simulator(request)
    body = await request.body()
    try:
        form = loads(body)
    except ValueError:
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
    if client_of(request, {}) != (simulator.client_id, simulator.client_secret):
        return JSONResponse({"error": "invalid_client"}, 401)
    token = form.get("token") if isinstance(form, dict) else None
    if not token or not simulator.tokens.revoke_token(str(token)):
        return JSONResponse({"error": "invalid_request"}, 400)
    simulator.save_tokens()
    return Response(status_code=200)


async def authorize_page(request: Request) -> Response:
    """Ask the user for consent, and send the browser back with a code."""
    simulator, query = _simulator(request), request.query_params
    address = query.get("redirect_uri", "")
    scopes = query.get("scope", "").split()
    if query.get("client_id") != simulator.client_id or not address:
        return HTMLResponse("<h1>The client id or the redirect address is wrong.</h1>", 400)
    if query.get("response_type") != "code":
        return _redirect(address, error="invalid_request", state=query.get("state", ""))
    if not scopes or set(scopes) - {*SCOPES, *OPENID}:
        return _redirect(address, error="invalid_scope", state=query.get("state", ""))
    if request.method == "GET":
        options = "".join(
            f'<option value="{realm}">{realm}</option>' for realm in simulator.companies
        )
        return HTMLResponse(_PAGE.format(client=escape(simulator.client_id), options=options))
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    realm = form.get("realm", "")
    if form.get("choice") == "cancel" or realm not in simulator.companies:
        return _redirect(address, error="access_denied", state=query.get("state", ""))
    code = simulator.tokens.code([realm], address, simulator.clock.now())
    simulator.save_tokens()
    return _redirect(address, code=code, state=query.get("state", ""), realmId=realm)


def _redirect(address: str, **parameters: str) -> RedirectResponse:
    joint = "&" if "?" in address else "?"
    return RedirectResponse(address + joint + urlencode(parameters), 302)


async def discovery_document(request: Request) -> Response:
    """Return the addresses of the endpoints, this server's own."""
    base = str(request.base_url).rstrip("/")
    return JSONResponse(
        {
            "issuer": f"{base}/op/v1",
            "authorization_endpoint": f"{base}/connect/oauth2",
            "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
            "userinfo_endpoint": f"{base}/v1/openid_connect/userinfo",
            "revocation_endpoint": f"{base}/v2/oauth2/tokens/revoke",
            "jwks_uri": f"{base}/op/v1/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": list(OPENID),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": ["aud", "exp", "iat", "iss", "realmid", "sub"],
        }
    )


async def user_info(request: Request) -> Response:
    """Return the user who gave consent."""
    simulator = _simulator(request)
    token = request.headers.get("authorization", "").partition(" ")[2]
    state, _ = simulator.tokens.check(token, simulator.clock.now())
    if state != "valid":
        return JSONResponse({"error": "invalid_token"}, 401)
    return JSONResponse(
        {
            "sub": "00000000-0000-4000-8000-000000000001",
            "email": "owner@example.com",
            "emailVerified": True,
            "givenName": "Robin",
            "familyName": "Quist",
        }
    )
