"""The protocol, explored state by state: ours holds, and what one would write first does not."""

from __future__ import annotations

import os

import pytest

from tests.cache.protocol import BACKWARDS, DIFFERENT, LOCKED, STALE, Limits, Rules, explore

MORE = int(os.environ.get("SANICBASE_TEST_PROTOCOL", "1"))  # how many of each misfortune
PLAIN = Limits(crashes=0, flushes=0, outages=0, stalls=0)  # nothing ever fails
USUAL = Limits()
DELAYED = PLAIN._replace(delays=1, flushes=1)
DEAF = PLAIN._replace(deafness=1, outages=1)  # the writers, while others reach Redis
KILLED = PLAIN._replace(kills=1, flushes=1, outages=1)  # the only process, with Redis as it was, emptied or away

DELETE_AFTER = Rules(before="nothing", after="delete", leases=False)
WRITE_THROUGH = Rules(before="nothing", after="store", leases=False)
DELETE_BEFORE = Rules(before="delete", after="nothing", leases=False)
DELETE_TWICE = Rules(before="delete", after="delete", leases=False)
LEASES_ALONE = Rules(before="nothing", after="delete")
LEASES_AND_TWO_DELETES = Rules(before="delete", after="delete")
CLOSINGS_ALONE = Rules(leases=False)
CLOSINGS_THAT_LEAVE_LEASES = Rules(drops_leases=False)
CLOSED_ONCE = Rules(closes_again=False)
NOTHING_SETTLES = Rules(settles="never")
ALWAYS_BRIEF = Rules(settles="briefly")
NOT_WHERE_REDIS_IS_INTACT = Rules(settles="when emptied")
IMPATIENT = Rules(patient=False)
ITS_OWN_SILENCE = Rules(hears_beats=False)
FORGETFUL_OPENINGS = Rules(remembers=False)


def test_every_state_keeps_the_promise() -> None:
    exploration = explore(Rules(), USUAL._replace(crashes=MORE, flushes=MORE, outages=MORE, stalls=MORE))
    assert exploration.wrong is None, exploration.trace
    assert exploration.states > 100_000


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(DELAYED, id="a delayed closing"),
        pytest.param(DEAF, id="writers without Redis"),
        pytest.param(KILLED, id="the only process is killed"),
        pytest.param(DELAYED._replace(crashes=1, outages=1), id="delayed and away", marks=pytest.mark.long),
        pytest.param(DEAF._replace(crashes=1, stalls=1), id="deaf and stalled", marks=pytest.mark.long),
        pytest.param(KILLED._replace(delays=1), id="killed and delayed", marks=pytest.mark.long),
    ],
)
def test_every_state_keeps_it_with(limits: Limits) -> None:
    exploration = explore(Rules(), limits)
    assert exploration.wrong is None, exploration.trace
    assert exploration.states > 10_000


def test_without_a_note_of_the_opening_a_delayed_closing_locks_the_key() -> None:
    exploration = explore(FORGETFUL_OPENINGS, PLAIN._replace(delays=1), looking_for=[LOCKED])
    assert exploration.wrong == LOCKED
    assert exploration.trace[-1] == "the late closing of writer 0 comes"


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        pytest.param(DELETE_AFTER, PLAIN, id="delete after the write"),
        pytest.param(WRITE_THROUGH, PLAIN, id="write through"),
        pytest.param(DELETE_BEFORE, PLAIN, id="delete before the write"),
        pytest.param(DELETE_TWICE, PLAIN, id="delete before and after"),
        pytest.param(CLOSINGS_ALONE, PLAIN, id="closings without leases"),
        pytest.param(CLOSINGS_THAT_LEAVE_LEASES, PLAIN, id="closings that leave leases"),
        pytest.param(IMPATIENT, PLAIN._replace(outages=1), id="a writer that goes on without Redis"),
        pytest.param(ITS_OWN_SILENCE, PLAIN._replace(deafness=1), id="a writer that takes its silence for Redis'"),
    ],
)
def test_without_it_a_get_is_older_than_a_write_that_returned(rules: Rules, limits: Limits) -> None:
    exploration = explore(rules, limits, looking_for=[STALE])
    assert exploration.wrong == STALE
    assert exploration.trace[-1].endswith("hits")


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        pytest.param(LEASES_ALONE, PLAIN, id="leases alone"),
        pytest.param(LEASES_AND_TWO_DELETES, PLAIN, id="leases and two deletes"),
        pytest.param(CLOSED_ONCE, PLAIN, id="nothing is closed again before a late commit"),
        pytest.param(NOTHING_SETTLES, PLAIN._replace(flushes=1), id="nothing settles"),
        pytest.param(ALWAYS_BRIEF, KILLED, id="an emptied Redis settles briefly"),
        pytest.param(NOT_WHERE_REDIS_IS_INTACT, KILLED, id="only an emptied Redis settles"),
    ],
)
def test_without_it_a_get_is_older_than_another(rules: Rules, limits: Limits) -> None:
    assert explore(rules, limits, looking_for=[BACKWARDS]).wrong == BACKWARDS


@pytest.mark.parametrize(
    ("rules", "limits"),
    [
        pytest.param(DELETE_AFTER, PLAIN, id="delete after the write"),
        pytest.param(LEASES_ALONE, PLAIN, id="leases alone"),
        pytest.param(LEASES_AND_TWO_DELETES, PLAIN, id="leases and two deletes"),
        pytest.param(CLOSED_ONCE, PLAIN, id="nothing is closed again before a late commit"),
        pytest.param(NOTHING_SETTLES, PLAIN._replace(flushes=1), id="nothing settles"),
        pytest.param(IMPATIENT, PLAIN._replace(outages=1), id="a writer that goes on without Redis"),
    ],
)
def test_without_it_a_crash_leaves_an_entry_that_differs(rules: Rules, limits: Limits) -> None:
    assert explore(rules, limits._replace(crashes=1), looking_for=[DIFFERENT]).wrong == DIFFERENT


def test_the_shortest_path_to_a_violation_is_reported() -> None:
    exploration = explore(LEASES_ALONE, PLAIN, looking_for=[BACKWARDS])
    assert exploration.trace == (
        "writer 0 locks the row",
        "writer 0 goes on",
        "writer 0 goes to commit",
        "writer 0 is committed",
        "somebody reads the row",
        "reader 0 hits",
    )


def test_a_new_process_waits_for_the_others_after_redis_was_emptied() -> None:
    limits = PLAIN._replace(flushes=1, newcomers=1, crashes=1)
    assert explore(Rules(), limits).wrong is None
    assert explore(NOTHING_SETTLES, limits, looking_for=[BACKWARDS]).wrong == BACKWARDS
    assert explore(NOTHING_SETTLES, limits, looking_for=[DIFFERENT]).wrong == DIFFERENT
