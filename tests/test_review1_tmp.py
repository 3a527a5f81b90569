from __future__ import annotations
import signal, time
import psycopg, pytest
from tests.test_verify import command, Command, SMALL
from tests.conftest import REALM


@pytest.mark.parametrize("env", [{"POSTGRES_PORT": "abc"}, {"POSTGRES_SSLMODE": "bad"}, {"POSTGRES_PASSWORD": "wrong"}, {"POSTGRES_HOST": "/nowhere"},
   {"POSTGRES_PORT": "99999999"}, {"QB_CLIENT_ID": ""}, {"TAP_QUICKBOOKS_RAW_START_DATE": "9999-12-31"}, {"TAP_QUICKBOOKS_RAW_TOKEN_ENCRYPTION_KEY": "x"},
   {"TAP_QUICKBOOKS_RAW_TOKEN_STORE": "file:///proc/nope/x.json"}, {"TAP_QUICKBOOKS_RAW_RUNS_FILE": "/proc/nope/x"}, {"POSTGRES_DB": "nope"}])
def test_env(own_simulator, command, env):
    c = command(own_simulator(counts={"Invoice": 3}))
    code, out, err = c.run(*SMALL, **env)
    print(code, out, "ERR", err)
    assert code == 1


@pytest.mark.parametrize("args", [["--windows", "999999999999"], ["--windows", "999999"], ["--evidence", "/proc/nope"], ["--evidence", "/etc/passwd"], ["--payloads", "9" * 30], ["--bogus"], ["x"],
   ["--seed", "\udcff", "--payloads", "5"], ["--seed", "", "--payloads", "5"]])
def test_args(own_simulator, command, args):
    c = command(own_simulator(counts={"Invoice": 3}))
    with psycopg.connect(c.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS commanded")
        connection.execute("CREATE TABLE commanded.qb_invoices (realm_id text, id text, last_updated_utc timestamptz, payload jsonb, PRIMARY KEY (realm_id, id))")
        connection.execute(f"INSERT INTO commanded.qb_invoices VALUES ('{REALM}', '1', '2020-01-01', '{{}}')")
    code, out, err = c.run(*SMALL, *args)
    print(code, out, "ERR", err)
    assert code in (1, 2)


def test_sigterm_locked(own_simulator, command):
    c = command(own_simulator(counts={"Invoice": 3}))
    with psycopg.connect(c.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS commanded")
        connection.execute("CREATE TABLE commanded.qb_invoices (realm_id text, id text, last_updated_utc timestamptz, payload jsonb, PRIMARY KEY (realm_id, id))")
        connection.execute(f"INSERT INTO commanded.qb_invoices VALUES ('{REALM}', '1', '2001-01-01', '{{}}'), ('{REALM}', '2', '2001-01-01', '{{}}'), ('{REALM}', '3', '2001-01-01', '{{}}')")
    with psycopg.connect(c.url) as locker, psycopg.connect(c.url, autocommit=True) as watcher:
        locker.execute("SELECT * FROM commanded.qb_invoices FOR UPDATE")
        p = c.start("--streams", "qb_invoices", "--repair", "--evidence", "ev")
        until = time.monotonic() + 30
        while not watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'").fetchone()[0]:
            assert time.monotonic() < until and p.poll() is None, p.communicate()
            time.sleep(0.05)
        p.send_signal(signal.SIGTERM)
        try:
            out, err = p.communicate(timeout=15)
        finally:
            p.kill()
        print(p.returncode, out, err)
        assert p.returncode == 143
        assert "Traceback" not in err
    with psycopg.connect(c.url, autocommit=True) as connection:
        print(connection.execute("select count(*) from commanded.qb_invoices where payload = '{}'").fetchall())
