"""One request: tried again when that helps, stopped when nothing will help, silent on secrets."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from tap_quickbooks_raw.exceptions import (
    BudgetReached,
    CompanyError,
    EntityError,
    Interrupted,
    QuickBooksError,
    RefusedError,
    RetriesExhausted,
    UnavailableError,
)
from tap_quickbooks_raw.limiter import Limiter
from tap_quickbooks_raw.policy import GRACE_SECONDS, Budget, RetryPolicy
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quickbooks_simulator.server import RunningSimulator
    from tap_quickbooks_raw.answers import Answer
    from tap_quickbooks_raw.client import QuickBooksClient

    Connect = Callable[..., QuickBooksClient]
    FakeTime = Any

TERMS = "SELECT * FROM Term"
TIMEOUT = (2.0, 0.15)


def read(client: QuickBooksClient, **options: Any) -> Answer:
    return client.get("query", query=TERMS, **options)


def sent(simulator: RunningSimulator, operation: str = "query") -> int:
    return sum(entry.operation == operation for entry in simulator.requests())


def script(simulator: RunningSimulator, do: dict[str, Any], times: int | None = None) -> None:
    simulator.add_rules([{"match": {"operation": "query"}, "do": do, "times": times}])


class Recorder(threading.Event):
    """An event that notes how long it was waited for, instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    @override
    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


PASSING: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "504": {"status": 504},
    "502-html": {"fault": "bad_gateway_html"},
    "503-html": {"fault": "service_unavailable_html"},
    "504-xml": {"fault": "gateway_timeout_xml"},
    "fault-10000": {"fault": "system_failure_10000"},
    "fault-in-a-200": {"fault": "fault_in_200"},
    "connection-cut": {"close": True},
    "body-cut": {"truncate": 40},
    "json-cut": {"short_json": 40},
    "no-answer-in-time": {"hang": True},
    "200-without-body": {"status": 200},
    "200-html": {"status": 200, "body": "<html>Sign in</html>", "content_type": "text/html"},
    "200-null": {"status": 200, "body": "null"},
    "200-list": {"status": 200, "body": "[]"},
    "200-without-what-was-asked-for": {"status": 200, "body": "{}"},
    "200-with-a-text-for-rows": {"status": 200, "body": '{"QueryResponse": "none"}'},
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=list(PASSING))
def test_a_passing_trouble_is_tried_again(
    simulator: RunningSimulator, connect: Connect, trouble: dict[str, Any]
) -> None:
    script(simulator, trouble, times=1)

    answer = read(connect(simulator, timeout=TIMEOUT))

    assert "Term" in answer.query
    assert sent(simulator) == 2


@pytest.mark.parametrize("trouble", PASSING.values(), ids=list(PASSING))
def test_a_lasting_trouble_fails_one_entity_after_all_attempts(
    simulator: RunningSimulator, connect: Connect, trouble: dict[str, Any]
) -> None:
    script(simulator, trouble)
    client = connect(simulator, timeout=TIMEOUT)

    with pytest.raises(RetriesExhausted, match="GET query failed 3 times"):
        read(client)

    assert sent(simulator) == 3 == client.calls
    simulator.clear_rules()
    assert "Term" in read(client).query


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_no_more_attempts_are_made_than_allowed(
    simulator: RunningSimulator, connect: Connect, attempts: int
) -> None:
    script(simulator, {"status": 503})

    with pytest.raises(RetriesExhausted):
        read(connect(simulator, attempts=attempts))

    assert sent(simulator) == attempts


@pytest.mark.parametrize(("asked", "made"), [(1, 1), (2, 2), (9, 3)])
def test_a_request_may_ask_for_fewer_attempts(
    simulator: RunningSimulator, connect: Connect, asked: int, made: int
) -> None:
    script(simulator, {"status": 503})

    with pytest.raises(RetriesExhausted):
        read(connect(simulator), attempts=asked)

    assert sent(simulator) == made


def test_a_server_that_is_not_there_is_tried_again_and_stops_the_run(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator)
    client._base = "http://127.0.0.1:9/v3/company/1"

    with pytest.raises(CompanyError, match=r"cannot be read: no answer .*; is the network up\?"):
        read(client)

    assert client.calls == 3
    with pytest.raises(CompanyError, match="no answer"):
        read(client)
    assert client.calls == 3


def test_a_batch_needs_a_network_too(simulator: RunningSimulator, connect: Connect) -> None:
    client = connect(simulator)
    client._base = "http://127.0.0.1:9/v3/company/1"

    with pytest.raises(CompanyError, match="no answer"):
        client.batch(["SELECT COUNT(*) FROM Item"], attempts=1)

    assert client.calls == 3


FINAL: dict[str, tuple[dict[str, Any], type[QuickBooksError]]] = {
    "4000": ({"fault": "parse_error_4000"}, RefusedError),
    "4001": ({"fault": "property_not_found_4001"}, RefusedError),
    "4002": ({"fault": "processing_error_4002"}, RefusedError),
    "5030": ({"fault": "not_supported_5030"}, UnavailableError),
    "610": ({"fault": "object_not_found_610"}, EntityError),
    "400-without-a-body": ({"status": 400}, EntityError),
    "413": ({"status": 413, "body": "<html>Too large</html>"}, EntityError),
    "501": ({"status": 501}, EntityError),
}


@pytest.mark.parametrize(("do", "error"), FINAL.values(), ids=list(FINAL))
def test_what_will_not_pass_is_not_tried_again(
    simulator: RunningSimulator,
    connect: Connect,
    do: dict[str, Any],
    error: type[QuickBooksError],
) -> None:
    script(simulator, do)

    with pytest.raises(error) as raised:
        read(connect(simulator))

    assert type(raised.value) is error
    assert sent(simulator) == 1


def test_an_error_carries_the_trace_id(simulator: RunningSimulator, connect: Connect) -> None:
    script(simulator, {"fault": "parse_error_4000"})

    with pytest.raises(RefusedError) as raised:
        read(connect(simulator))

    (entry,) = [entry for entry in simulator.requests() if entry.operation == "query"]
    assert f"[intuit_tid {entry.intuit_tid}]" in str(raised.value)


def test_a_path_that_is_not_there_is_one_entitys_trouble(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator)

    with pytest.raises(EntityError, match="404"):
        client.get("nosuchthing")

    assert "Term" in read(client).query


# ---- The company's trouble

FATAL: dict[str, dict[str, Any]] = {
    "403-3100": {"fault": "authorization_failed_3100"},
    "403-6190": {"fault": "company_status_6190"},
    "403-without-a-code": {"status": 403, "body": "<html>Forbidden</html>"},
    "404": {"status": 404, "body": "<html>Not Found</html>"},
}


@pytest.mark.parametrize("trouble", FATAL.values(), ids=list(FATAL))
def test_the_companys_trouble_stops_all_requests(
    simulator: RunningSimulator, connect: Connect, trouble: dict[str, Any]
) -> None:
    """It is reported once and not repeated for every entity."""
    script(simulator, trouble)
    client = connect(simulator)

    with pytest.raises(CompanyError) as first:
        read(client)
    with pytest.raises(CompanyError) as second:
        client.get("taxclassification")
    with pytest.raises(CompanyError):
        client.batch([TERMS])

    assert str(first.value) == str(second.value)
    assert "\n" not in str(first.value)
    assert simulator.realm_ids[0] in str(first.value)
    assert sent(simulator) == 1
    assert not sent(simulator, "taxclassification")


def test_a_company_that_the_keys_do_not_open_is_named(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator, "1234567890")

    with pytest.raises(CompanyError, match="1234567890"):
        read(client)


def test_a_suspended_company_says_what_to_do(simulator: RunningSimulator, connect: Connect) -> None:
    simulator.configure(suspended_realms=simulator.realm_ids)

    with pytest.raises(CompanyError, match="renew it, then run again"):
        read(connect(simulator))


# ---- 401


@pytest.mark.parametrize("fault", ["token_expired", "malformed_token", "general_auth_error_xml"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_refused_access_token_is_refreshed_once_and_costs_no_attempt(
    simulator: RunningSimulator, connect: Connect, fault: str, attempts: int
) -> None:
    script(simulator, {"fault": fault}, times=1)

    answer = read(connect(simulator, attempts=attempts))

    assert "Term" in answer.query
    assert sent(simulator) == 2
    assert sent(simulator, "token") == 2


@pytest.mark.parametrize("fault", ["token_expired", "general_auth_error_xml"])
def test_a_refused_new_access_token_stops_the_company(
    simulator: RunningSimulator, connect: Connect, fault: str
) -> None:
    script(simulator, {"fault": fault})
    client = connect(simulator)

    for _ in range(2):
        with pytest.raises(CompanyError, match="sign in again"):
            read(client)

    assert sent(simulator) == 2
    assert sent(simulator, "token") == 2


def test_an_expired_access_token_is_refreshed_once_by_all_threads(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator)
    read(client)
    simulator.expire_access_tokens()
    simulator.clear_requests()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: read(client), range(8)))

    assert all("Term" in answer.query for answer in answers)
    assert sent(simulator, "token") == 1


def test_a_dead_connection_stops_the_company(simulator: RunningSimulator, connect: Connect) -> None:
    rule = {"match": {"operation": "token"}, "do": {"fault": "invalid_grant"}, "times": None}
    simulator.add_rules([rule])
    client = connect(simulator)

    for _ in range(2):
        with pytest.raises(CompanyError, match="QB_REFRESH_TOKEN"):
            read(client)

    assert sent(simulator, "token") == 1
    assert sent(simulator) == 0


# ---- 429

THROTTLES: dict[str, dict[str, Any]] = {
    "xml": {"fault": "throttle_xml"},
    "json": {"fault": "throttle_json"},
    "html": {"status": 429, "body": "<html>Too Many Requests</html>"},
    "nothing": {"status": 429},
    "403-with-3001": {"status": 403, "body": '<Fault><Error code="3001"/></Fault>'},
}


@pytest.mark.parametrize("trouble", THROTTLES.values(), ids=list(THROTTLES))
def test_a_429_pauses_the_company_for_twenty_seconds(
    simulator: RunningSimulator,
    connect: Connect,
    fake_time: Any,
    trouble: dict[str, Any],
) -> None:
    script(simulator, trouble, times=1)
    limiter = Limiter(concurrency=8, now=fake_time.now, sleep=fake_time.sleep)

    answer = read(connect(simulator, limiter=limiter))

    assert "Term" in answer.query
    assert fake_time.naps == [20.0]


def test_the_attempts_outlast_intuits_minute(
    simulator: RunningSimulator,
    connect: Connect,
    fake_time: FakeTime,
) -> None:
    script(simulator, {"fault": "throttle_xml"}, times=4)
    limiter = Limiter(concurrency=8, now=fake_time.now, sleep=fake_time.sleep)
    policy = RetryPolicy(5, jitter=lambda: 0.0)

    read(connect(simulator, limiter=limiter, policy=policy))

    assert sum(fake_time.naps) >= 60
    assert min(fake_time.naps) >= 20


def test_a_429_that_outlasts_its_attempts_stops_the_company(
    simulator: RunningSimulator, connect: Connect
) -> None:
    script(simulator, {"fault": "throttle_xml"})
    client = connect(simulator, attempts=4)

    for _ in range(2):
        with pytest.raises(CompanyError, match="429"):
            read(client)

    assert sent(simulator) == 4


def test_a_429_is_never_final_for_a_request_with_fewer_attempts(
    simulator: RunningSimulator, connect: Connect
) -> None:
    """A COUNT may fail, but being too fast once must not end the run."""
    script(simulator, {"fault": "throttle_xml"}, times=2)

    assert "Term" in read(connect(simulator, attempts=3), attempts=1).query


def test_a_429_holds_back_the_requests_of_other_threads(
    simulator: RunningSimulator, connect: Connect
) -> None:
    script(simulator, {"fault": "throttle_xml"}, times=1)
    paused, done = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        paused.set()
        done.wait(10)

    clock = [0.0]
    limiter = Limiter(concurrency=8, now=lambda: clock[0], sleep=sleep)
    client = connect(simulator, limiter=limiter)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(read, client)
        assert paused.wait(10)
        others = [pool.submit(read, client) for _ in range(3)]
        held_back = sent(simulator)
        clock[0] = 21.0
        done.set()
        answers = [future.result(10) for future in (first, *others)]

    assert held_back == 1
    assert all("Term" in answer.query for answer in answers)


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7),
        ("0", 20),
        (in_seconds(4000), 300),
        ("99999", 300),
        (in_seconds(-60), 20),
        ("-5", 20),
        ("soon", 20),
        ("", 20),
    ],
    ids=[
        "seconds",
        "zero",
        "far-date",
        "far-seconds",
        "past-date",
        "negative",
        "garbage",
        "empty",
    ],
)
def test_retry_after_is_obeyed_within_reason(
    simulator: RunningSimulator,
    connect: Connect,
    fake_time: FakeTime,
    header: str,
    pause: float,
) -> None:
    script(simulator, {"fault": "throttle_xml", "headers": {"Retry-After": header}}, times=1)
    limiter = Limiter(concurrency=8, now=fake_time.now, sleep=fake_time.sleep)

    read(connect(simulator, limiter=limiter))

    assert sum(fake_time.naps) == pause


def test_retry_after_may_be_a_date(
    simulator: RunningSimulator,
    connect: Connect,
    fake_time: FakeTime,
) -> None:
    headers = {"Retry-After": in_seconds(40)}
    script(simulator, {"fault": "throttle_json", "headers": headers}, times=1)
    limiter = Limiter(concurrency=8, now=fake_time.now, sleep=fake_time.sleep)

    read(connect(simulator, limiter=limiter))

    assert 35 < sum(fake_time.naps) <= 40


def test_retry_after_holds_for_a_503_too(simulator: RunningSimulator, connect: Connect) -> None:
    script(simulator, {"status": 503, "headers": {"Retry-After": "11"}}, times=1)
    client = connect(simulator)
    client._halted = recorder = Recorder()

    read(client)

    assert recorder.waits == [11.0]


def test_waits_double_from_attempt_to_attempt(
    simulator: RunningSimulator, connect: Connect
) -> None:
    script(simulator, {"status": 503}, times=4)
    client = connect(simulator, policy=RetryPolicy(5, jitter=lambda: 0.25))
    client._halted = recorder = Recorder()

    read(client)

    assert recorder.waits == [1.25, 2.25, 4.25, 8.25]


def test_waits_never_exceed_a_minute_and_jitter() -> None:
    policy = RetryPolicy(20)

    assert all(0 < policy.wait(attempt) < 61 for attempt in range(1, 21))


# ---- Stopping


def test_a_halt_ends_a_wait_at_once(simulator: RunningSimulator, connect: Connect) -> None:
    script(simulator, {"status": 503, "headers": {"Retry-After": "300"}})
    client = connect(simulator)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, client)
        while not sent(simulator):
            pass
        client.halt(Interrupted(15))
        with pytest.raises(Interrupted):
            waiting.result(10)

    assert sent(simulator) == 1


def test_the_first_reason_to_halt_is_the_one_reported(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator)
    client.halt(CompanyError("first"))
    client.halt(CompanyError("second"))

    with pytest.raises(CompanyError, match="first"):
        read(client)
    assert sent(simulator) == 0


@pytest.mark.parametrize("threads", [1, 8])
def test_no_call_is_made_beyond_the_budget(
    simulator: RunningSimulator, connect: Connect, threads: int
) -> None:
    client = connect(simulator, budget=Budget(calls=20))

    def read_on(_: int) -> None:
        with suppress(BudgetReached):
            while True:
                read(client)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read_on, range(threads)))

    assert sent(simulator) == 20 == client.calls


def test_failed_attempts_count_in_the_budget(simulator: RunningSimulator, connect: Connect) -> None:
    script(simulator, {"status": 503})

    with pytest.raises(BudgetReached, match="max_api_calls: 2"):
        read(connect(simulator, attempts=5, budget=Budget(calls=2)))

    assert sent(simulator) == 2


def test_no_call_is_made_after_the_time_is_over(
    simulator: RunningSimulator, connect: Connect
) -> None:
    budget = Budget(seconds=60)
    client = connect(simulator, budget=budget)
    read(client)
    budget.started -= 60

    with pytest.raises(BudgetReached, match="max_run_seconds: 60"):
        read(client)
    assert sent(simulator) == 1


def test_nothing_is_waited_for_long_after_the_time_is_over() -> None:
    """As for a pause of minutes that QBO has asked for."""
    budget = Budget(seconds=60)
    budget.started -= 60
    budget.check_overdue()
    budget.started -= GRACE_SECONDS

    with pytest.raises(BudgetReached, match="max_run_seconds: 60"):
        budget.check_overdue()
    Budget(calls=0).check_overdue()


# ---- What is sent and kept


def test_the_minor_version_goes_with_every_request(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator, minor_version=76)
    with TappedSession(client) as requests:
        read(client)
        client.batch([TERMS])

    assert ["minorversion=76" in request.url for request in requests] == [True, True]
    assert {"application/json"} == {request.headers["Accept"] for request in requests}


class TappedSession:
    """Collects the requests that a client of this thread sends."""

    def __init__(self, client: QuickBooksClient) -> None:
        self._session = client._session()
        self._sent: list[Any] = []

    def _note(self, response: Any, **_: object) -> None:
        self._sent.append(response.request)

    def __enter__(self) -> list[Any]:
        self._session.hooks["response"].append(self._note)
        return self._sent

    def __exit__(self, *_: object) -> None:
        self._session.hooks["response"].remove(self._note)


def test_a_query_arrives_as_it_was_written(simulator: RunningSimulator, connect: Connect) -> None:
    """Blanks, quotes, plus signs and letters beyond ASCII survive the address."""
    query = r"SELECT * FROM Customer WHERE DisplayName = 'Adam\'s Candy+Shop & Söhne %'"

    connect(simulator).get("query", query=query)

    assert simulator.requests()[-1].statement == query


def test_compressed_answers_are_read(simulator: RunningSimulator, connect: Connect) -> None:
    simulator.configure(gzip=True)

    assert "Term" in read(connect(simulator)).query


def test_a_netrc_file_does_not_replace_the_token(
    simulator: RunningSimulator,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert "Term" in read(connect(simulator)).query
    assert sent(simulator) == 1


def test_the_servers_clock_is_that_of_the_first_answer(
    simulator: RunningSimulator, connect: Connect
) -> None:
    client = connect(simulator)
    read(client)
    first = client.clock
    read(client)

    assert first is not None
    assert first == client.clock
    assert abs(first.timestamp() - simulator.now()) < 5
    assert first.tzinfo is UTC


def test_the_servers_clock_is_taken_from_the_header_where_the_body_has_none(
    simulator: RunningSimulator, connect: Connect
) -> None:
    script(
        simulator,
        {
            "status": 200,
            "body": '{"QueryResponse": {}}',
            "headers": {"Date": "Fri, 01 Mar 2024 10:00:00 GMT"},
        },
    )
    client = connect(simulator)
    read(client)

    assert client.clock == datetime(2024, 3, 1, 10, tzinfo=UTC)


# ---- Secrets


@pytest.mark.parametrize(
    "trouble",
    [
        {},
        {"fault": "token_expired"},
        {"fault": "throttle_json"},
        {"fault": "bad_gateway_html"},
        {"fault": "authorization_failed_3100"},
        {"fault": "parse_error_4000"},
        {"close": True},
        {"truncate": 30},
    ],
    ids=lambda trouble: next(iter(map(str, trouble.values())), "no-trouble"),
)
def test_no_secret_is_logged_or_said(
    simulator: RunningSimulator,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    trouble: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect(simulator)
    if trouble:
        script(simulator, trouble)

    said = caplog.text
    try:
        read(client)
    except QuickBooksError as error:
        said += f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    said += caplog.text

    token = client._auth._token
    assert token is not None
    assert "query" in said
    for secret in (token.access_token, token.refresh_token, simulator.client_secret):
        assert secret not in said
        assert secret not in repr(client._auth._credentials)
        assert secret not in repr(token)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 503])
def test_a_token_that_the_server_repeats_is_not_passed_on(
    simulator: RunningSimulator,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """Intuit's 401 names the token: "Token expired: ..."."""
    caplog.set_level(logging.DEBUG)
    client = connect(simulator)
    token = client._auth.bearer()
    fault = {"error": [{"detail": f"Token expired: {token}", "code": "9999"}]}
    body = json.dumps({"fault": fault})
    script(simulator, {"status": status, "body": body})

    with pytest.raises(QuickBooksError) as raised:
        read(client)

    said = f"{raised.value} {caplog.text}"
    assert "Token expired" in said
    assert token[:60] not in said


@pytest.mark.parametrize(
    ("status", "is_believed"), [(400, True), (503, False), (500, False), (429, False)]
)
def test_the_clock_of_a_gateway_is_not_taken_for_the_servers(
    simulator: RunningSimulator,
    connect: Connect,
    status: int,
    *,
    is_believed: bool,
) -> None:
    """Its answers may come from another machine."""
    date = "Thu, 01 Jan 2043 00:00:00 GMT"
    script(simulator, {"status": status, "headers": {"Date": date}, "body": "{}"})
    client = connect(simulator, attempts=1)

    with suppress(EntityError, CompanyError):
        read(client)

    assert (client.clock is not None) is is_believed
