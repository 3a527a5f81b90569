"""dlt as a loader: merges the records of Singer's lines. It runs in an environment of dlt's own.

It takes `--config FILE` as a loader does. dlt reads all, then normalizes all, then loads all; it
keeps what it reads under `folder`, and no state of a tap.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

KEYS = ("realm_id", "id")
TIMES = ("last_updated_utc", "ingested_at_utc", "deleted_at_utc")
WINDOW = ("extract_window_start_utc", "extract_window_end_utc")
COLUMNS = {
    **{name: {"data_type": "text", "nullable": False} for name in KEYS},
    **{name: {"data_type": "timestamp"} for name in (*TIMES, *WINDOW)},
    **{name: {"data_type": "json"} for name in ("payload", "request_payload")},
}


def main() -> None:
    """Merge what comes on the standard input into raw.qb_invoices."""
    config = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt  # noqa: PLC0415  The variable comes first.

    name, password = (quote(config[word], safe="") for word in ("user", "password"))
    place = f"{config['host']}:{config['port']}/{config['database']}"
    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=config["folder"],
        destination=dlt.destinations.postgres(f"postgresql://{name}:{password}@{place}"),
        dataset_name="raw",
    )
    rows = dlt.resource(
        _records,
        name="qb_invoices",
        primary_key=KEYS,
        write_disposition="merge",
        columns=COLUMNS,
    )
    pipeline.run(rows, loader_file_format="csv").raise_on_failed_jobs()  # The fastest that it has.


def _records() -> Iterator[dict[str, Any]]:
    import orjson  # noqa: PLC0415  dlt brings it, the project does not have it.

    for line in sys.stdin.buffer:
        if line.startswith(b'{"type":"RECORD"'):
            yield orjson.loads(line)["record"]


if __name__ == "__main__":
    main()
