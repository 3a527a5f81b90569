"""The image and the composition: what they are made of, and what the entry point does.

Neither needs a container engine; `docs/containers.md` tells what was run in containers.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from tap_quickbooks_raw.config_schema import CONFIG_SCHEMA
from tap_quickbooks_raw.raw_tables import connect

from tests.conftest import REALM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from local_postgres.server import Connection
    from quickbooks_simulator.server import RunningSimulator

PROJECT = Path(__file__).resolve().parent.parent
CONTAINERS = PROJECT / "orchestrate" / "containers"
ENTRYPOINT = CONTAINERS / "entrypoint.py"
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
LOADING = ("pipeline", "scheduler", "demo")
SERVING = ("postgres", "scheduler", "simulator")
MELTANOS = ("QB_REALM_ID", "MELTANO_ENVIRONMENT", "MELTANO_RUN_STATE_ID_SUFFIX")
KEYS = {"QB_CLIENT_ID": "ID-7f3a", "QB_CLIENT_SECRET": "SECRET-91bc", "QB_REALM_ID": "123"}
SHOW = ("python", "-c", "import json, os; print(json.dumps(dict(os.environ)))")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entrypoint", ENTRYPOINT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def enter(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point with nothing in its environment but what is given."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, str(ENTRYPOINT), *arguments],
        env={"PATH": path, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def secret_files(folder: Path, values: dict[str, str]) -> dict[str, str]:
    """Write one file for each value; return the variables that name the files."""
    for name, value in values.items():
        (folder / name).write_text(value)
    return {f"{name}_FILE": str(folder / name) for name in values}


def test_the_composition_follows_the_specification() -> None:
    subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", PROJECT / "docker-compose.yml"),
        ],
        check=True,
    )


@pytest.mark.skipif(
    not shutil.which("docker")
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    != 0,
    reason="docker compose is not installed",
)
@pytest.mark.parametrize(
    ("profiles", "services"),
    [
        ([], {"postgres", "scheduler"}),
        (["--profile", "job"], {"postgres", "scheduler", "pipeline"}),
        (["--profile", "demo"], {"postgres", "scheduler", "demo", "simulator"}),
    ],
    ids=["none", "job", "demo"],
)
def test_docker_compose_takes_the_composition(profiles: list[str], services: set[str]) -> None:
    told = subprocess.run(
        ["docker", "compose", *profiles, "config", "--services"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(told.stdout.split()) == services


def test_the_dockerfile_is_linted() -> None:
    subprocess.run([Path(sys.executable).with_name("hadolint"), PROJECT / "Dockerfile"], check=True)


def test_all_that_the_image_copies_is_there() -> None:
    """And `.dockerignore`, which lets nothing else in, lets it in."""
    let_in = {
        line.removeprefix("!")
        for line in (PROJECT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert [name for name in copied if not (PROJECT / name).exists()] == []


def test_no_secret_enters_the_image() -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert "orchestrate/containers/secrets" in rules
    for private in (".env", ".tokens", "secrets", ".meltano"):
        assert not any(fnmatch.fnmatch(private, rule.removeprefix("!")) for rule in rules[1:])


def test_versions_are_pinned(compose: dict[str, Any]) -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    images = {base[1], *(service["image"] for service in compose["services"].values())}
    assert [image for image in images if not re.search(r":\d+\.\d+[\w.-]*$", image)] == []


def test_the_image_and_make_use_the_same_uv() -> None:
    versions = [
        re.findall(r"UV_VERSION ?:?= ?(\S+)", text)
        for text in (DOCKERFILE, (PROJECT / "Makefile").read_text())
    ]
    assert versions[0] == versions[1] != []


def test_bytecode_is_made_when_the_image_is_built() -> None:
    assert "UV_COMPILE_BYTECODE=1" in DOCKERFILE
    assert "PYTHONDONTWRITEBYTECODE" not in DOCKERFILE


def test_the_image_runs_as_nobody_special(compose: dict[str, Any]) -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert [int(user) > 0 for user in users] == [True]
    for name in (*LOADING, "simulator"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "user" not in service


def test_services_that_stay_tell_their_health(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {*SERVING, *LOADING}
    assert [name for name in services if "healthcheck" in services[name]] == list(SERVING)
    assert all(services[name]["restart"] == "unless-stopped" for name in SERVING)


def test_a_stop_leaves_time_for_a_refresh_of_the_tokens(compose: dict[str, Any]) -> None:
    for name in LOADING:
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) >= 75
        assert compose["services"][name]["init"] is True


def test_what_must_last_is_in_volumes(compose: dict[str, Any]) -> None:
    services = compose["services"]
    used = {volume for service in services.values() for volume in service["volumes"]}
    assert {volume.split(":")[0] for volume in used} == set(compose["volumes"])
    places = {volume.split(":")[1] for name in LOADING for volume in services[name]["volumes"]}
    assert places == {
        *("/project/.meltano/run", "/project/.tokens", "/project/evidence", "/simulator")
    }
    made = re.search(r"^RUN install -d -o quickbooks .*\n(.+)$", DOCKERFILE, re.MULTILINE)
    assert made is not None
    assert places == set(made[1].split())


def test_secrets_come_by_file_alone(compose: dict[str, Any], entrypoint: ModuleType) -> None:
    for service in compose["services"].values():
        variables = service.get("environment", {})
        assert not set(variables) & set(entrypoint.SECRETS)
        files = {name for name in variables if name.endswith("_FILE")}
        assert {variables[name] for name in files} == {
            f"/run/secrets/{secret}" for secret in service.get("secrets", [])
        }
        assert {name.removesuffix("_FILE") for name in files} <= set(entrypoint.SECRETS)
    assert not re.search(r"(ENV|ARG).*(PASSWORD|SECRET|TOKEN)", DOCKERFILE)


def test_the_secrets_that_come_along_are_none(
    compose: dict[str, Any], entrypoint: ModuleType
) -> None:
    """All are empty, but the password of the demo, which is refused for a real company."""
    kept = {file.name: file.read_text().strip() for file in (CONTAINERS / "secrets").iterdir()}
    assert kept.pop("postgres_password") == entrypoint.DEMO_PASSWORD
    assert set(kept.values()) == {""}
    for name, secret in compose["secrets"].items():
        assert secret["file"] == f"${{SECRETS:-./orchestrate/containers/secrets}}/{name}"
    assert set(compose["secrets"]) == {*kept, "postgres_password"}


def test_variables_that_are_passed_through_are_settings(compose: dict[str, Any]) -> None:
    settings = {f"TAP_QUICKBOOKS_RAW_{name.upper()}" for name in CONFIG_SCHEMA["properties"]}
    for name in LOADING:
        variables = compose["services"][name]["environment"]
        through = {variable for variable, value in variables.items() if value is None}
        assert through - set(MELTANOS) <= settings


def test_a_command_finds_the_secrets_without_their_files(tmp_path: Path) -> None:
    files = secret_files(
        tmp_path,
        {"QB_CLIENT_ID": "ID-7f3a\n", "POSTGRES_PASSWORD": " a b$ \n", "QB_REFRESH_TOKEN": ""},
    )
    found = enter(*SHOW, **files)
    assert found.stderr == ""
    variables = json.loads(found.stdout)
    assert variables["QB_CLIENT_ID"] == "ID-7f3a"
    assert variables["POSTGRES_PASSWORD"] == " a b$ "
    assert not [name for name in variables if name.endswith("_FILE")]
    assert "QB_REFRESH_TOKEN" not in variables


def test_what_is_empty_is_not_given() -> None:
    """Compose passes an empty line of `.env` on."""
    found = enter(*SHOW, TAP_QUICKBOOKS_RAW_MAX_API_CALLS="", QB_REALM_ID="123")
    variables = json.loads(found.stdout)
    assert "TAP_QUICKBOOKS_RAW_MAX_API_CALLS" not in variables
    assert variables["QB_REALM_ID"] == "123"


def test_an_empty_name_of_a_file_is_none() -> None:
    found = enter(*SHOW, QB_CLIENT_ID_FILE="", QB_CLIENT_ID="ID-7f3a")
    assert json.loads(found.stdout)["QB_CLIENT_ID"] == "ID-7f3a"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "QB_CLIENT_SECRET_FILE: there is no file "),
        (b"SECRET-91bc\nmore\n", "is more than one line of text"),
        (b"SECRET-91bc\r\n", "is more than one line of text"),
        (b"SECRET-91bc\0", "is more than one line of text"),
        (b"\xff\xfe", "is no text file"),
    ],
    ids=["missing", "two lines", "line end of Windows", "zero byte", "no text"],
)
def test_a_secret_that_cannot_be_read_ends_it_with_one_line(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    ended = enter("quickbooks-to-raw", QB_CLIENT_SECRET_FILE=str(file))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert words in ended.stderr
    assert str(file) in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "SECRET-91bc" not in ended.stderr


def test_a_folder_is_no_secret(tmp_path: Path) -> None:
    ended = enter("scheduler", QB_CLIENT_ID_FILE=str(tmp_path))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"QB_CLIENT_ID_FILE: {tmp_path} is no text file.\n",
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_secret_of_another_user_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("SECRET-91bc")
    file.chmod(0o600)
    program = f"""
import os, pathlib, runpy
entry = runpy.run_path({str(ENTRYPOINT)!r})
os.setuid(65534)
try:
    entry["read_secret"]("QB_CLIENT_ID", pathlib.Path({str(file)!r}))
except entry["EntryError"] as error:
    print(error)
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith(f"QB_CLIENT_ID_FILE: user 65534 may not read {file}. ")
    assert "chmod 644 secrets/*" in told


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    files = secret_files(tmp_path, {"QB_CLIENT_ID": "ID-7f3a"})
    ended = enter(*SHOW, **files, QB_CLIENT_ID="other")
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        1,
        "",
        "QB_CLIENT_ID and QB_CLIENT_ID_FILE are both given; keep one of them.\n",
    )


@pytest.mark.parametrize("command", [(), ("quickbooks-sweep",), ("scheduler",)], ids=str)
@pytest.mark.parametrize("missing", [*KEYS, "all"])
def test_a_company_that_is_not_filled_in_ends_it_with_one_line(
    tmp_path: Path, command: tuple[str, ...], missing: str
) -> None:
    empty = dict.fromkeys(KEYS, "") if missing == "all" else {**KEYS, missing: ""}
    files = secret_files(tmp_path, {name: empty[name] for name in list(KEYS)[:2]})
    ended = enter(*command, **files, QB_REALM_ID=empty["QB_REALM_ID"], POSTGRES_PASSWORD="p")
    assert ended.returncode == 1
    assert ended.stdout == ""
    names = ", ".join(KEYS) if missing == "all" else missing
    assert ended.stderr.startswith(f"{names}: not filled in. ")
    assert "docker compose --profile demo up" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not [value for value in empty.values() if value and value in ended.stderr]


@pytest.mark.parametrize("password", ["", "demo-only"], ids=["none", "the demo's"])
def test_a_real_company_needs_a_password_of_its_own(tmp_path: Path, password: str) -> None:
    files = secret_files(tmp_path, {"POSTGRES_PASSWORD": f"{password}\n"})
    ended = enter(**KEYS, **files)
    assert ended.returncode == 1
    assert ended.stderr.startswith("POSTGRES_PASSWORD: not filled in. ")
    assert ended.stderr.count("\n") == 1


@pytest.fixture
def database(postgres: Connection) -> Iterator[dict[str, str]]:
    """An empty database, and a user who may all in it, with a password full of signs."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE writer LOGIN PASSWORD 'p@ss/w%rd $1'")
        connection.execute("CREATE DATABASE containers OWNER writer")
        yield {
            "POSTGRES_HOST": postgres.host,
            "POSTGRES_PORT": str(postgres.port),
            "POSTGRES_USER": "writer",
            "POSTGRES_PASSWORD": "p@ss/w%rd $1",
            "POSTGRES_DB": "containers",
        }
        connection.execute("DROP DATABASE containers WITH (FORCE)")
        connection.execute("DROP ROLE writer")


@pytest.mark.pipeline
def test_meltano_keeps_its_state_beside_the_rows(database: dict[str, str], tmp_path: Path) -> None:
    variables = dict(database)
    files = secret_files(tmp_path, {"POSTGRES_PASSWORD": variables.pop("POSTGRES_PASSWORD")})
    shutil.copy(PROJECT / "meltano.yml", tmp_path)
    state = ("meltano", "--log-level", "error", "state")
    folder = {"MELTANO_PROJECT_ROOT": str(tmp_path)}
    kept = enter(
        *state,
        "set",
        "--force",
        "demo",
        '{"singer_state": {"a": 1}}',
        **variables,
        **files,
        **folder,
    )
    assert kept.returncode == 0, kept.stderr
    told = enter(*state, "get", "demo", **variables, **files, **folder)
    assert json.loads(told.stdout) == {"singer_state": {"a": 1}}
    with connect(database) as connection:
        rows = connection.execute("SELECT state_id FROM meltano.state").fetchall()
    assert rows == [("demo",)]
    assert not (tmp_path / ".meltano" / "meltano.db").exists()


def test_a_database_that_refuses_is_named(
    entrypoint: ModuleType, database: dict[str, str], postgres: Connection
) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE containers OWNER TO CURRENT_USER")
    with pytest.raises(entrypoint.EntryError, match=r"^POSTGRES_USER: cannot make the schema"):
        entrypoint.state_database(database)
    with pytest.raises(entrypoint.EntryError, match=r"^POSTGRES_HOST: the database at"):
        entrypoint.state_database({**database, "POSTGRES_DB": "another"})


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ["run.py"]),
        (["quickbooks-to-raw"], ["run.py"]),
        (["scheduler"], ["scheduler.py", "--heartbeat", "/tmp/heartbeat"]),
    ],
    ids=["nothing", "the job", "scheduler"],
)
def test_what_the_arguments_stand_for(
    entrypoint: ModuleType, arguments: list[str], command: list[str]
) -> None:
    python, script, *options = entrypoint.command_of(arguments)
    assert python == sys.executable
    assert [Path(script).name, *options] == command
    assert Path(script).is_file()


@pytest.mark.parametrize(
    "job",
    [["--full-refresh", "qb_items_backfill"], ["tap-quickbooks-raw", "target-postgres"]],
    ids=["job", "pipeline"],
)
def test_any_other_job_is_meltanos(entrypoint: ModuleType, job: list[str]) -> None:
    assert entrypoint.is_job(job)
    assert entrypoint.command_of(job) == ["meltano", "run", *job]


def test_a_command_stays_as_it_is(entrypoint: ModuleType) -> None:
    for command in (["python", "-V"], ["tap-quickbooks-raw", "--about"]):
        assert entrypoint.command_of(command) == command
        assert not entrypoint.is_job(command)


def test_without_keys_the_simulated_company_is_taken(
    entrypoint: ModuleType, simulator: RunningSimulator, tmp_path: Path
) -> None:
    written = simulated(tmp_path, simulator)
    found = entrypoint.simulated_company(
        {"SIMULATOR_URL": simulator.url, "SIMULATOR_CONNECTION": str(written)}
    )
    assert set(found) == {
        *(*KEYS, "QB_REFRESH_TOKEN", "TAP_QUICKBOOKS_RAW_API_URL", "TAP_QUICKBOOKS_RAW_TOKEN_URL")
    }
    # By the name of its service, not by the address that it listens on.
    assert found["TAP_QUICKBOOKS_RAW_TOKEN_URL"] == simulator.token_url
    entrypoint.check_company({**found, "POSTGRES_PASSWORD": "demo-only"})


def test_a_simulator_that_has_gone_is_not_taken(
    entrypoint: ModuleType, simulator: RunningSimulator, tmp_path: Path
) -> None:
    written = simulated(tmp_path, simulator)
    gone = {"SIMULATOR_URL": "http://127.0.0.1:9", "SIMULATOR_CONNECTION": str(written)}
    assert entrypoint.simulated_company(gone) == {}


def test_real_keys_never_meet_the_simulator(simulator: RunningSimulator, tmp_path: Path) -> None:
    written = simulated(tmp_path, simulator)
    ended = enter(
        SIMULATOR_URL=simulator.url, SIMULATOR_CONNECTION=str(written), QB_REFRESH_TOKEN="mine"
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("QB_CLIENT_ID, QB_CLIENT_SECRET, QB_REALM_ID: not filled in. ")


def simulated(folder: Path, simulator: RunningSimulator) -> Path:
    """What the simulator's service writes: it listens on every address."""
    written = folder / "connection.json"
    connection = {
        "url": "http://0.0.0.0:8480",
        "token_url": "http://0.0.0.0:8480/oauth2/v1/tokens/bearer",
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "refresh_token": simulator.refresh_token,
        "realm_ids": [REALM],
    }
    written.write_text(json.dumps(connection))
    return written


def test_a_database_that_is_down_is_named(entrypoint: ModuleType) -> None:
    address = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "9"}
    with pytest.raises(entrypoint.EntryError, match=r"^POSTGRES_HOST: 127\.0\.0\.1:9 has taken"):
        entrypoint.wait_for_database(address, seconds=-1)
