"""The command `quickbooks-simulator`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from quickbooks_simulator.background import hold_lock, start, status, stop
from quickbooks_simulator.company import DEFAULT_REALM, CompanySpec, parse_company
from quickbooks_simulator.datadir import DataDir
from quickbooks_simulator.server import address_of, bind, server_for
from quickbooks_simulator.settings import LIMITS, Settings
from quickbooks_simulator.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

EXAMPLES = f"""examples:
  quickbooks-simulator serve --port 8480
      one company, realm {DEFAULT_REALM}, about 30,000 objects of all 41 entities

  quickbooks-simulator serve --company 4620816365000001:1000:7:US --company 4620816365000002:500
      two companies: 1,000 objects from seed 7, and 500 objects

  quickbooks-simulator serve --company 1234567890 --count 1234567890:Invoice=1000000
      a company with a million invoices

  quickbooks-simulator serve --limits --latency-ms 250 --rules trouble.json
      Intuit's request limits, a quarter of a second per answer, and scripted trouble

  quickbooks-simulator serve --set cdc_unsupported=ignore --set 'cdc_off=["Term"]'
      change data capture follows less than documented, and says nothing

  quickbooks-simulator start --data .simulator    run in the background; prints the address
  quickbooks-simulator status --data .simulator
  quickbooks-simulator stop --data .simulator

connect with:
  client id simulator-client, secret simulator-secret, refresh token simulator-refresh-token
  token endpoint URL/oauth2/v1/tokens/bearer, companies under URL/v3/company/REALM/
  look inside and change things under URL/_simulator/ (see the README)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "serve":
                return _serve(options)
            case "start":
                return start(options.data, _forwarded(options))
            case "stop":
                return stop(options.data)
            case _:
                return status(options.data)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"quickbooks-simulator: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quickbooks-simulator",
        description="A local QuickBooks Online to talk to.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in (
        ("serve", "run in the foreground until interrupted"),
        ("start", "run in the background; harmless when it runs already"),
    ):
        command = commands.add_parser(
            name,
            help=summary,
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_options(command, background=name == "start")
    for name, summary in (
        ("stop", "end the one in the background"),
        ("status", "tell whether one runs in the background"),
    ):
        commands.add_parser(name, help=summary).add_argument("--data", type=Path, required=True)
    return parser


def _add_options(command: argparse.ArgumentParser, *, background: bool) -> None:
    add = command.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on (default: a free one)")
    add(
        "--company",
        action="append",
        default=[],
        metavar="REALM[:ROWS[:SEED[:COUNTRY]]]",
        help="a company; repeatable. COUNTRY: US (default), CA, FR, UK, AU or ALL entities",
    )
    add(
        "--count",
        action="append",
        default=[],
        metavar="REALM:ENTITY=N",
        help="exact number of objects of an entity; repeatable",
    )
    add("--data", type=Path, required=background, help="directory to continue from")
    add("--rules", type=Path, metavar="FILE", help="JSON list of rules: scripted trouble")
    add("--latency-ms", type=float, default=0.0, help="delay of every answer")
    add("--ms-per-row", type=float, default=0.0, help="further delay per object in an answer")
    add("--limits", action="store_true", help="enforce Intuit's request limits")
    add("--plain", action="store_true", help="no awkward texts in the data")
    add("--warm", action="store_true", help="make all objects at start; needs memory for them")
    add(
        "--set",
        action="append",
        default=[],
        metavar="SWITCH=JSON",
        help="any other switch of /_simulator/settings; repeatable",
    )
    if not background:
        add("--url-file", type=Path, help="write address and credentials there when ready")


def _forwarded(options: argparse.Namespace) -> list[str]:
    """Return the options of `start` as arguments for `serve`."""
    arguments = ["--host", options.host, "--port", str(options.port)]
    for name in ("company", "count", "set"):
        for value in getattr(options, name):
            arguments += [f"--{name}", value]
    if options.rules:
        arguments += ["--rules", str(options.rules.resolve())]
    arguments += ["--latency-ms", str(options.latency_ms), "--ms-per-row", str(options.ms_per_row)]
    arguments += [f"--{name}" for name in ("limits", "plain", "warm") if getattr(options, name)]
    return arguments


def companies(options: argparse.Namespace) -> list[CompanySpec]:
    """Return the companies that the options ask for.

    Raises:
        ValueError: An option has the wrong form.
    """
    specs = [parse_company(text) for text in options.company] or [CompanySpec(country="ALL")]
    counts: dict[str, dict[str, int]] = {spec.realm_id: {} for spec in specs}
    for text in options.count:
        realm, _, rest = text.partition(":")
        entity, _, number = rest.partition("=")
        if realm not in counts or not number.isdecimal():
            raise ValueError(f"--count {text}: REALM:ENTITY=N of a company is expected.")
        counts[realm][entity] = int(number)
    return [
        CompanySpec(
            realm_id=spec.realm_id,
            rows=spec.rows,
            seed=spec.seed,
            country=spec.country,
            counts=counts[spec.realm_id],
            awkward=not options.plain,
        )
        for spec in specs
    ]


def _settings(options: argparse.Namespace) -> Settings:
    switches: dict[str, object] = {
        "latency_ms": options.latency_ms,
        "ms_per_row": options.ms_per_row,
    }
    if options.limits:
        switches |= LIMITS
    for text in options.set:
        name, _, value = text.partition("=")
        try:
            switches[name] = json.loads(value)
        except ValueError:
            switches[name] = value
    return Settings().changed(switches)


def _serve(options: argparse.Namespace) -> int:
    settings, specs = _settings(options), companies(options)
    rules = json.loads(options.rules.read_text()) if options.rules else []
    if options.data:
        hold_lock(options.data)
    data = DataDir(options.data) if options.data else None
    simulator = Simulator(specs, settings=settings, data=data)
    simulator.rules.add(rules)
    if options.warm:
        for company in simulator.companies.values():
            company.warm()
    try:
        listener = bind(options.host, options.port)
    except OSError as error:
        reason = f"Cannot listen on {options.host}:{options.port}: {error.strerror}."
        raise OSError(reason) from None
    asyncio.run(_run(simulator, listener, options.url_file))
    if data:
        data.close()
    return 0


async def _run(simulator: Simulator, listener: socket, url_file: Path | None) -> None:
    server = server_for(simulator)
    url = address_of(listener)
    if url_file:
        write_connection(url_file, simulator, url)
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


def write_connection(path: Path, simulator: Simulator, url: str) -> None:
    """Write what a client needs to connect, readable by the owner only."""
    connection = {
        "url": url,
        "token_url": f"{url}/oauth2/v1/tokens/bearer",
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "refresh_token": simulator.refresh_token(),
        "realm_ids": list(simulator.companies),
    }
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(connection, file, indent=2)
        file.write("\n")
    fresh.replace(path)
