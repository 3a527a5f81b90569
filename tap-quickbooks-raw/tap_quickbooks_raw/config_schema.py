"""The settings that the tap takes, with their meanings, bounds and defaults."""

from __future__ import annotations

from typing import Any

# What HTTP's basic authentication can carry.
VISIBLE = "^[!-~]+$"


def _text(title: str, description: str, **more: object) -> dict[str, Any]:
    return {"type": "string", "title": title, "description": description, **more}


def _integer(title: str, description: str, **more: object) -> dict[str, Any]:
    return {"type": "integer", "title": title, "description": description, **more}


CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["client_id", "client_secret", "realm_id"],
    "properties": {
        "client_id": _text("Client ID", "Client ID of the Intuit app.", pattern=VISIBLE),
        "client_secret": _text(
            "Client secret", "Client secret of the Intuit app.", secret=True, pattern=VISIBLE
        ),
        "realm_id": _text("Realm ID", "The company, a digit string.", pattern="^[0-9]+$"),
        "refresh_token": _text(
            "Refresh token",
            "First refresh token; afterwards the token store has the newer one.",
            secret=True,
        ),
        "token_store": _text(
            "Token store",
            "Where rotating tokens are kept: file:///path of a JSON file, or "
            "postgresql://user:password@host/database. "
            "Default: .tokens/quickbooks.json in the project.",
            secret=True,
        ),
        "token_encryption_key": _text(
            "Token encryption key",
            "Encrypts the stored tokens; several keys, separated by commas, are tried in turn, "
            "and the first one encrypts. `tap-quickbooks-raw-auth new-key` makes one.",
            secret=True,
        ),
        "environment": _text(
            "Environment",
            "Chooses Intuit's host: production or sandbox.",
            enum=["production", "sandbox"],
            default="production",
        ),
        "api_url": _text(
            "API URL",
            "Overrides Intuit's API host (simulator, proxy): the base before /v3/company/...",
            pattern="^https?://[^/]",
        ),
        "token_url": _text(
            "Token URL",
            "Overrides the full address of Intuit's token endpoint.",
            pattern="^https?://[^/]",
        ),
        "start_date": _text(
            "Start date",
            "Lower bound of MetaData.LastUpdatedTime, inclusive; used only where "
            "the stream has no bookmark. Alias: fecha_inicio.",
            default="2000-01-01",
        ),
        "end_date": _text(
            "End date",
            "Upper bound, exclusive. Default: the server's clock less "
            "settle_seconds, which also caps a later value. Alias: fecha_fin.",
        ),
        "chunk_days": _integer(
            "Chunk days",
            "Fixed length of a window in days. Default: windows of about as many rows each.",
            minimum=1,
            maximum=36500,
        ),
        "settle_seconds": _integer(
            "Settle seconds",
            "How far the upper bound stays behind the server's clock.",
            minimum=0,
            maximum=86400,
            default=30,
        ),
        "incremental_method": _text(
            "Incremental method",
            "How changes are found: cdc (change data capture: two calls, deletions too; by query "
            "where it cannot be used) or query (deletions are left to the sweep).",
            enum=["cdc", "query"],
            default="cdc",
        ),
        "rarely_read_hours": _integer(
            "Rarely read hours",
            "Exchange rates, tax classifications and what the company does not have are asked "
            "for again after so many hours; 0 for every run.",
            minimum=0,
            maximum=8760,
            default=23,
        ),
        "page_size": _integer(
            "Page size", "Rows per page, 1 to 1000.", minimum=1, maximum=1000, default=1000
        ),
        "concurrency": _integer(
            "Concurrency",
            "Requests in flight per company, 1 to 10.",
            minimum=1,
            maximum=10,
            default=8,
        ),
        "requests_per_minute": _integer(
            "Requests per minute",
            "Ceiling per company; Intuit allows 500.",
            minimum=1,
            maximum=10000,
            default=500,
        ),
        "max_attempts": _integer(
            "Max attempts", "Attempts per request.", minimum=1, maximum=20, default=5
        ),
        "max_api_calls": _integer(
            "Max API calls", "Stop cleanly (exit 0, state saved) after so many requests.", minimum=1
        ),
        "max_run_seconds": _integer(
            "Max run seconds",
            "Stop cleanly (exit 0, state saved) after so many seconds.",
            minimum=1,
        ),
        "minor_version": _integer(
            "Minor version",
            "QBO minor version; Intuit serves anything below 75 as 75.",
            minimum=1,
            default=75,
        ),
        "runs_file": _text(
            "Runs file",
            "A file to which each run appends what it did, as a line of JSON. Default: none, but "
            "evidence/runs.jsonl in a Meltano project.",
        ),
        "metrics_file": _text(
            "Metrics file",
            "A text file for the textfile collector of Prometheus' node exporter, such as "
            "/var/lib/node_exporter/quickbooks-{realm_id}.prom; {realm_id} becomes the company. "
            "Default: none.",
        ),
    },
}
