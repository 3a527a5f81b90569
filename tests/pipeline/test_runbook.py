"""The runbook and the acceptance list are true: their commands do what the pages say."""

from __future__ import annotations

import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from quickbooks_simulator.server import CompanySpec, running_simulator

from pipeline.conftest import PROJECT, REALM, make_project
from pipeline.runbook_events import OTHER, play
from pipeline.runbook_page import blocks, chapters
from pipeline.runbook_world import World, administer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_postgres.server import Connection

MOVED = "quickbooks_new"
DOCS = PROJECT / "docs"
CHAPTERS = {
    **chapters((DOCS / "runbook.md").read_text()),
    "Acceptance": blocks((DOCS / "acceptance.md").read_text()),
}
RUN = [title for title, found in CHAPTERS.items() if any(block.is_run for block in found)]


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Connection
) -> Iterator[dict[str, Future[None]]]:
    """The chapters that are asked for, two at a time: a run waits for much else than a core."""
    mine = [item for item in request.session.items if item.path == request.path]
    asked = [item.callspec.params["chapter"] for item in mine if hasattr(item, "callspec")]
    with ThreadPoolExecutor(2) as threads:
        yield {
            title: threads.submit(play_chapter, title, tmp_path_factory.mktemp("project"), server)
            for title in asked
        }
        threads.shutdown(cancel_futures=True)
    administer(server.url, "DROP DATABASE IF EXISTS {}", MOVED)


def play_chapter(title: str, folder: Path, server: Connection) -> None:
    """Play a chapter in a world of its own."""
    specs = [
        CompanySpec(realm_id=REALM, rows=300, seed=11, country="US"),
        CompanySpec(realm_id=OTHER, rows=100, seed=12, country="US"),
    ]
    name = f"runbook_{uuid.uuid4().hex}"
    database = {
        "POSTGRES_HOST": server.host,
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": server.user,
        "POSTGRES_PASSWORD": server.password,
        "POSTGRES_DB": name,
    }
    administer(server.url, "CREATE DATABASE {}", name)
    try:
        with running_simulator(specs, rotation="always") as company:
            world = World(make_project(folder, database, company), company, server.url)
            for block in CHAPTERS[title]:
                if block.is_run:
                    play(world, block)
    finally:
        administer(server.url, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chapter", RUN)
def test_the_commands_of_a_chapter_do_what_it_says(
    played: dict[str, Future[None]], chapter: str
) -> None:
    played[chapter].result()
