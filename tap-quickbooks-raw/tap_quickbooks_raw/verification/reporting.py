"""What a verification found, as a table and as the document that is archived."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.evidence.document import Ingested, MonthCount, Verification
from tap_quickbooks_raw.metrics import calls_by_day
from tap_quickbooks_raw.plan import MONTHLY_ALLOWANCE
from tap_quickbooks_raw.verification.raw_rows import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_quickbooks_raw.verification.finding import Finding
    from tap_quickbooks_raw.verification.scope import Scope


def table(findings: Sequence[Finding]) -> str:
    """Lay out the findings for reading, each with what there is to say."""
    lines = [f"{'entity':<22}{'rows in QBO':>12}{'rows in raw':>12}  verdict"]
    for finding in findings:
        counted = finding.counted
        source = f"{counted.rows:,}" if counted and counted.rows is not None else "-"
        raw = f"{finding.raw_rows:,}" if finding.tally else "-"
        lines.append(f"{finding.entity.name:<22}{source:>12}{raw:>12}  {finding.verdict}")
        lines += [f"  {text}" for text in finding.explanations]
    total = sum(finding.rows for finding in findings)
    agree = sum(finding.agrees for finding in findings)
    lines.append(
        f"{'total':<22}{total:>12,}{sum(finding.raw_rows for finding in findings):>12,}"
        f"  {agree} of {len(findings)} agree"
    )
    return "\n".join(lines)


def document(scope: Scope, findings: Sequence[Finding], *, options: Sequence[str]) -> Verification:
    """Put together what is written down of a verification.

    Args:
        scope: What was compared; its run is over.
        findings: What was found.
        options: The command line.
    """
    settings = scope.run.settings
    now = datetime.now(UTC)
    return Verification(
        id=str(uuid.uuid4()),
        realm_id=settings.realm_id,
        company=_company(scope),
        environment=settings.environment,
        version=version("tap-quickbooks-raw"),
        started_at=scope.run.began,
        finished_at=now,
        options=tuple(options),
        settings=dict(_settings(scope)),
        window_start=scope.start,
        window_end=scope.end,
        calls=scope.run.client.calls,
        batch_items=scope.run.client.batch_items,
        entities=tuple(finding.result() for finding in findings),
        months=tuple(month for finding in findings for month in _months(finding)),
        progress=_progress(scope, findings),
        calls_per_day=tuple(
            calls_by_day(settings.runs_file, settings.realm_id, f"{now:%Y-%m}")
            if settings.runs_file
            else ()
        ),
        allowance=MONTHLY_ALLOWANCE,
    )


def _settings(scope: Scope) -> Iterator[tuple[str, object]]:
    """The settings but the secret ones, in forms that JSON has."""
    schema = CONFIG_SCHEMA["properties"]
    for name, value in asdict(scope.run.settings).items():
        if schema.get(name, {}).get("secret"):
            continue
        match value:
            case datetime():
                yield name, value.isoformat()
            case timedelta():
                yield name, value.total_seconds()
            case _:
                yield name, value


def _months(finding: Finding) -> Iterator[MonthCount]:
    kept = finding.tally.months if finding.tally else {}
    for month in sorted({*kept, *finding.months}):
        in_source = finding.months.get(month, 0) if finding.months else None
        in_raw = kept.get(month, 0)
        if in_source or in_raw:
            yield MonthCount(
                stream=finding.entity.stream, month=month, qbo_rows=in_source, raw_rows=in_raw
            )


def _progress(scope: Scope, findings: Sequence[Finding]) -> tuple[Ingested, ...]:
    """How the rows came in; nothing where a table cannot be read."""
    tables = [scope.rows(finding.entity) for finding in findings if finding.tally is not None]
    try:
        points = progress(scope.connection, tables)
    except psycopg.Error:
        return ()
    return tuple(Ingested(at=at, rows=rows) for at, rows in points)


def _company(scope: Scope) -> str | None:
    """The company's name, as it was loaded; None where it was not."""
    statement = sql.SQL(
        "SELECT payload->>'CompanyName' FROM {} WHERE realm_id = %s AND payload IS NOT NULL LIMIT 1"
    ).format(sql.Identifier(scope.schema, "qb_company_info"))
    try:
        row = scope.connection.execute(statement, (scope.run.settings.realm_id,)).fetchone()
    except psycopg.Error:
        return None
    return str(row[0]) if row and row[0] else None
