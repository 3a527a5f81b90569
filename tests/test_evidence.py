"""The files of a verification: whole, safe to show, and nobody's but its own."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.evidence.document import MonthCount, Verification
from tap_quickbooks_raw.evidence.writing import write
from tap_quickbooks_raw.exceptions import SettingsError

from tests.verifications import GAPS, REALM, START, company, month, result, verification

STEM = f"2026-11-28T031500Z-{REALM}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def page(tmp_path: Path, document: Verification) -> str:
    return write(document, tmp_path)[1].read_text(encoding="utf-8")


# ---- Files


def test_the_names_carry_the_moment_and_the_company(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "evidence"
    data, shown = write(verification(), folder)

    assert (data, shown) == (folder / f"{STEM}.json", folder / f"{STEM}.html")
    assert names(folder) == [f"{STEM}.html", f"{STEM}.json", f"latest-{REALM}.html"]
    assert (folder / f"latest-{REALM}.html").read_bytes() == shown.read_bytes()


def test_the_json_file_is_the_document(tmp_path: Path) -> None:
    document = company(gaps=GAPS, months=24)

    data, _ = write(document, tmp_path)

    assert msgspec.json.decode(data.read_bytes(), type=Verification) == document
    content: Any = msgspec.json.decode(data.read_bytes())
    assert content["started_at"] == "2026-11-28T03:15:00Z"
    assert len(content["entities"]) == 41


def test_names_sort_by_time_in_whatever_zone_it_was_told(tmp_path: Path) -> None:
    west = timezone(timedelta(hours=-8))
    for hours in (0, 9, 24):
        moment = START + timedelta(hours=hours)
        write(verification(started_at=moment.astimezone(west), finished_at=moment), tmp_path)

    data = [name for name in names(tmp_path) if name.endswith(".json")]
    assert data == [
        f"2026-11-28T031500Z-{REALM}.json",
        f"2026-11-28T121500Z-{REALM}.json",
        f"2026-11-29T031500Z-{REALM}.json",
    ]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Two at the same second; of the first only the page is left."""
    first, shown = write(verification(calls=1), tmp_path)
    first.unlink()

    second, other = write(verification(calls=2), tmp_path)
    third, _ = write(verification(calls=3), tmp_path)

    assert [path.name for path in (shown, other, second, third)] == [
        f"{STEM}.html", f"{STEM}-2.html", f"{STEM}-2.json", f"{STEM}-3.json",
    ]  # fmt: skip


def test_all_who_write_at_once_find_a_name(tmp_path: Path) -> None:
    documents = [verification(id=str(uuid4()), calls=number) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda document: write(document, tmp_path), documents))

    calls = [msgspec.json.decode(data.read_bytes())["calls"] for data, _ in written]
    assert calls == list(range(16))
    assert len(names(tmp_path)) == 2 * 16 + 1
    assert all(path.read_text().rstrip().endswith("</html>") for _, path in written)


def test_companies_do_not_share_their_latest_page(tmp_path: Path) -> None:
    write(verification(realm_id="1", company="First"), tmp_path)
    write(verification(realm_id="2", company="Second"), tmp_path)

    assert "First" in (tmp_path / "latest-1.html").read_text()
    assert "Second" in (tmp_path / "latest-2.html").read_text()


def test_a_company_is_no_path(tmp_path: Path) -> None:
    data, _ = write(verification(realm_id="../../etc"), tmp_path / "evidence")

    assert data.name == "2026-11-28T031500Z-______etc.json"
    assert names(tmp_path) == ["evidence"]


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--evidence: .* cannot be written to") as raised:
        write(verification(), tmp_path / "file" / "evidence")
    assert "\n" not in str(raised.value)


def test_a_full_disk_leaves_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SettingsError, match="No space left on device"):
        write(verification(), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_there_is_the_json_file_and_a_word(tmp_path: Path, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from tests.verifications import verification\n"
        "from tap_quickbooks_raw.evidence.writing import write\n"
        "from tap_quickbooks_raw.exceptions import SettingsError\n"
        "from pathlib import Path\n"
        "try: write(verification(), Path(sys.argv[1]))\n"
        "except SettingsError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert f"needs {missing}: install tap-quickbooks-raw[evidence]" in done.stdout
    assert names(tmp_path) == [f"{STEM}.json"]


def test_nobody_loads_a_plotting_library_before_a_page_is_made() -> None:
    program = (
        "import sys, tap_quickbooks_raw.evidence.writing, tap_quickbooks_raw.evidence.store\n"
        "print([name for name in ('matplotlib', 'numpy', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# ---- What may be told


def test_no_secret_is_written(tmp_path: Path) -> None:
    secrets = [name for name, entry in CONFIG_SCHEMA["properties"].items() if entry.get("secret")]
    assert len(secrets) == 4
    settings = {name: f"hush-{name}" for name in secrets} | {
        "REFRESH_TOKEN": "hush-upper",
        "nested": {"client_secret": "hush-nested"},
        "api_url": "https://user:hush@proxy.example:8080/base",
        "page_size": 1000,
    }
    document = verification(
        settings=settings,
        company="postgresql://user:hu/sh@hush@host:5432/database",
        options=("--evidence", "password=hush", "password = 'hush it' host=x"),
        entities=(result(verdict="https://hush@host/ failed", explanations=("ftp://a:hush@h/",)),),
    )
    written = [path.read_text() for path in write(document, tmp_path)]

    for text in written:
        assert "hush" not in text
        assert "https://***@proxy.example:8080/base" in text
        assert "postgresql://***@host:5432/database" in text
        assert "page_size" in text
        assert not any(name in text for name in secrets)


def test_ordinary_texts_stay_as_they_are(tmp_path: Path) -> None:
    texts = ("mail me@example.com", "https://developer.intuit.com/app?x=1", "50 % of 3 < 4 & more")
    document = verification(options=texts)
    data, _ = write(document, tmp_path)

    assert msgspec.json.decode(data.read_bytes(), type=Verification).options == texts


def test_characters_that_nobody_can_write_are_replaced(tmp_path: Path) -> None:
    odd = "a\0b\ud800c\x1b[31md\ufffe"
    document = verification(
        company=odd,
        entities=(msgspec.structs.replace(result(raw_rows=1), entity=odd),),
        months=(MonthCount(stream="qb_invoices", month=month(0), qbo_rows=None, raw_rows=1),),
    )
    shown = page(tmp_path, document)

    assert "a\ufffdb\ufffdc\ufffd[31md\ufffd" in shown
    assert not re.search(r"[\0\x1b\ufffe]", shown)
