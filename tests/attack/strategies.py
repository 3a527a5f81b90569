"""How scenarios are drawn; the first choices are the simplest, so failures shrink to them."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from attack.scenario import (
    FAULTS,
    SECONDS,
    SETTLE,
    STREAMS,
    Change,
    Event,
    Operation,
    Pass,
    Scenario,
    Stop,
    Tie,
)

LEAST = {"Customer": 4, "Item": 10, "RecurringTransaction": 0}
SIZES = (0, 1, 2, 3, 7, 8, 14, 30, 50, 51, 100)
EVERY = 1000
BENT_PAGES = ("only one row", "only three rows", "a row too many", "a row twice")
PAUSES = (0, 1, SETTLE - 1, SETTLE, SETTLE + 1, 90, 3_700, 30 * 86_400)
# In which forms change data capture and batches may answer, and for whom they do not.
CDC_FORMS = (
    "cdc_exclusive",
    "cdc_shuffled",
    "cdc_omits_empty",
    "cdc_single_object",
    "batch_shuffled",
)
# What CDC may leave out without a word: of the others nobody could tell.
SILENT = ["RecurringTransaction"]
CDC_TROUBLES = (("cdc_off", 7), ("cdc_faults", 7), ("batch_faults", 7))
# All together less than max_attempts, so that no request has to fail for good.
MOST_FAULTS = 4
# Fewer than the passes that the tap makes over objects which change meanwhile.
LONGEST_STORM = 10

many = st.one_of(st.integers(1, 5), st.sampled_from([7, 14, 30, 50, 100, 200]))
nth = st.one_of(st.integers(1, 4), st.integers(1, 12), st.integers(1, 60))


def changes(entities: list[str], most: int, oldest: int) -> st.SearchStrategy[tuple[Change, ...]]:
    """A few changes, stamped up to `oldest` seconds ago."""
    change = st.builds(
        Change,
        op=st.sampled_from(get_args(Operation)),
        entity=st.sampled_from(entities),
        many=many,
        age=st.integers(0, oldest),
    )
    return st.lists(change, max_size=most).map(tuple)


@st.composite
def events(draw: st.DrawFn, entities: list[str], oldest: int) -> Event:
    """A storm of changes, or a fault with changes around it."""
    fault = draw(st.none() | st.sampled_from(list(FAULTS)) | st.sampled_from(BENT_PAGES))
    # An answer with a new refresh token must not get lost: no client can do without.
    others = "" if not fault else "token" if fault[0] in "45" else "query"
    operation = draw(st.sampled_from(["query", "count", "batch", "cdc", others]))
    return Event(
        operation=operation,
        entity=draw(st.sampled_from(["", *entities])) if operation != "token" else "",
        nth=draw(nth),
        repeat=1 if fault else draw(st.integers(1, LONGEST_STORM)),
        before=draw(changes(entities, 2, oldest)),
        after=draw(changes(entities, 1, oldest)),
        fault=fault or "",
    )


@st.composite
def passes(draw: st.DrawFn, entities: list[str], delay: int) -> Pass:
    """One run of the tap and the time behind it."""
    happenings = draw(st.lists(events(entities, SETTLE - 5 - delay), max_size=5))
    faulty = [event for event in happenings if event.fault]
    rare = [event for event in faulty if event.fault in {"hangs", "token expired"}]
    stop = st.builds(
        Stop,
        how=st.sampled_from(["kill", "term", "budget", "pipe"]),
        at=st.one_of(st.integers(1, 12), st.integers(1, 150)),
    )
    pause = draw(st.sampled_from(PAUSES))
    return Pass(
        events=tuple(
            event
            for event in happenings
            if event not in faulty[MOST_FAULTS:] and event not in rare[1:]
        ),
        stop=draw(st.none() | stop),
        pause=pause,
        later=draw(changes(entities, 2, pause if pause > delay else 0)),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Any scenario."""
    entities = draw(st.lists(st.sampled_from(list(STREAMS)), min_size=1, max_size=4, unique=True))
    counts = {
        entity: max(draw(st.sampled_from(SIZES)), LEAST.get(entity, 0)) for entity in entities
    }
    tie = st.builds(
        Tie,
        entity=st.sampled_from(entities),
        many=st.sampled_from([2, 3, 8, 31, EVERY]),
        second=st.sampled_from(SECONDS),
    )
    delay = draw(st.sampled_from([0, 0, 20]))
    switches: dict[str, Any] = {"shuffle_ties": draw(st.booleans())}
    if delay:
        switches["visibility_delay_seconds"] = delay
    for name in ("refuse_batch", "gzip"):
        if draw(st.integers(0, 7)) == 1:
            switches[name] = True
    for name in CDC_FORMS:
        if draw(st.integers(0, 3)) == 1:
            switches[name] = True
    for name, share in (("no_count", 3), ("no_time_filter", 7), *CDC_TROUBLES):
        if draw(st.integers(0, share)) == 1:
            switches[name] = [draw(st.sampled_from(entities))]
    if switches.get("cdc_off", SILENT) == SILENT and draw(st.booleans()):
        switches["cdc_unsupported"] = "ignore"
    if draw(st.integers(0, 7)) == 1:
        switches["oversize_rows"] = draw(st.sampled_from([20, 3]))
    return Scenario(
        counts=counts,
        ties=tuple(draw(st.lists(tie, max_size=3))),
        page_size=draw(st.sampled_from([1000, 50, 7, 7, 2, 2, 1])),
        concurrency=draw(st.integers(1, 10)),
        chunk_days=draw(st.sampled_from([None, None, 365, 30])),
        switches=switches,
        passes=tuple(draw(st.lists(passes(entities, delay), min_size=1, max_size=3))),
    )
