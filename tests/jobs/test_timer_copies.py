"""Copies of a service as processes: killed, stopped, with wrong clocks, told to stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import redis

from sanicbase.testing import run_to_exit, wait_until
from tests.jobs.killing import copy, kill_copies, runs, write_service, wrong_runs
from tests.preloaded import preloaded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

SOON = 30.0

# The first run hangs in the copy that got it; later runs do not.
HANGING_ONCE = """
async def hang_once():
    hangs = await get_redis().set("hung", 1, nx=True)  # before the note, upon which the copy is killed
    await note()
    if hangs:
        await asyncio.sleep(600)
"""
# A run that is stopped in the middle and continues must not believe that the timer is still its own.
LONG = """
async def long():
    await note("begins")
    try:
        await asyncio.sleep(600)
    finally:
        await note("ends")
"""
SHIFTED = """
shift, real = float(os.environ["SHIFT"]), time.time
time.time = lambda: real() + shift
"""


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def has_runs(client: redis.Redis, count: int) -> None:
    wait_until(lambda: len(runs(client)) >= count, SOON, what=f"{count} runs")


def test_every_second_is_run_once_while_copies_are_killed(tmp_path: Path, redis_url: str) -> None:
    moments = kill_copies(tmp_path, redis_url, seconds=10, every=2.5)
    assert len(moments) >= 10
    assert wrong_runs(moments) == {"twice": [], "not at all": []}


def test_a_copy_killed_in_the_middle_of_a_run_costs_no_later_tick(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    service = write_service(tmp_path, "Timer(hang_once, every=1)", HANGING_ONCE)
    with copy(service, redis_url) as first, copy(service, redis_url) as second:
        has_runs(client, 1)
        (hanging,) = runs(client)
        (first if first.pid == hanging.pid else second).kill()
        has_runs(client, 7)
    assert wrong_runs([run.moment for run in runs(client)]) == {"twice": [], "not at all": []}


def test_a_copy_that_was_stopped_and_continues_runs_no_old_tick(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    service = write_service(tmp_path, "Timer(note, every=0.5, name='steady')")
    with copy(service, redis_url) as first, copy(service, redis_url) as second:
        wait_until(lambda: {run.pid for run in runs(client)} == {first.pid, second.pid}, SOON, what="runs of both")
        os.kill(first.pid, signal.SIGSTOP)
        count = len(runs(client))
        has_runs(client, count + 6)
        os.kill(first.pid, signal.SIGCONT)
        continued = len(runs(client))
        wait_until(lambda: first.pid in {run.pid for run in runs(client)[continued:]}, SOON, what="runs of both again")
    done = runs(client)
    steps = [later.moment - run.moment for run, later in pairwise(done)]
    lost = [place for place, step in enumerate(steps) if step == 1.0]
    # One tick is lost if the copy was stopped between claiming it and running it: ticks run at most once.
    assert lost in ([], [count - 1], [count - 2])
    assert [step for step in steps if step != 1.0] == [0.5] * (len(steps) - len(lost))
    assert [run.fence for run in done] == sorted({run.fence for run in done})


def test_a_run_that_was_stopped_is_cancelled_when_a_later_one_took_its_place(
    tmp_path: Path, redis_url: str, client: redis.Redis
) -> None:
    service = write_service(tmp_path, "Timer(long, every=1)", LONG)
    with copy(service, redis_url) as first, copy(service, redis_url) as second:
        has_runs(client, 1)
        stopped, other = (first, second) if runs(client)[0].pid == first.pid else (second, first)
        os.kill(stopped.pid, signal.SIGSTOP)
        has_runs(client, 2)
        os.kill(stopped.pid, signal.SIGCONT)
        has_runs(client, 3)
        wait_until(lambda: "lost its lease to a later run and is cancelled" in stopped.output(), SOON)
    events = [(run.pid, run.event) for run in runs(client)]
    assert events[:3] == [(stopped.pid, "begins"), (other.pid, "begins"), (stopped.pid, "ends")]


def test_a_copy_s_own_clock_may_be_wrong_by_hours(tmp_path: Path, redis_url: str, client: redis.Redis) -> None:
    service = write_service(tmp_path, "Timer(note, every=0.5)", SHIFTED)
    with (
        copy(service, redis_url, SHIFT="18000") as ahead,
        copy(service, redis_url, SHIFT="-18000") as behind,
        copy(service, redis_url, SHIFT="0"),
    ):
        wait_until(lambda: {run.pid for run in runs(client)} >= {ahead.pid, behind.pid}, SOON, what="runs of both")
        has_runs(client, 8)
    moments = [run.moment for run in runs(client)]
    assert moments == [moments[0] + n / 2 for n in range(len(moments))]
    assert abs(moments[-1] - time.time()) < SOON


def test_a_stop_lets_the_run_end_in_its_finally(tmp_path: Path, redis_url: str, client: redis.Redis) -> None:
    service = write_service(tmp_path, "Timer(long, every=1)", LONG)
    with copy(service, redis_url, SHOP_GRACEFUL_SHUTDOWN_TIMEOUT="0.5") as only:
        has_runs(client, 1)
        assert only.terminate() == 0
        assert "Waiting for __main__.long for at most 0.5 seconds." in only.output()
    assert [run.event for run in runs(client)] == ["begins", "ends"]


def test_two_timers_of_one_name_end_the_process_with_an_error_message(tmp_path: Path, redis_url: str) -> None:
    service = write_service(tmp_path, "Timer(note, every=1), Timer(note, every=60)")
    env = {"SHOP_REDIS_URL": redis_url}
    report = run_to_exit(service, command=preloaded(str(service)), cwd=tmp_path, prefix="SHOP_", env=env)
    assert report.code == 1
    assert report.output.splitlines()[-1] == (
        "There are several timers named __main__.note: give each a unique `name=`."
    )


def test_an_invalid_timer_ends_the_process_with_an_error_message(tmp_path: Path) -> None:
    service = write_service(tmp_path, "Timer(note, cron='61 * * * *')")
    report = run_to_exit(service, command=preloaded(str(service)), cwd=tmp_path, prefix="SHOP_")
    assert report.code == 1
    assert report.output == "The timer __main__.note: `cron='61 * * * *'` is not a valid crontab line: bad minute.\n"


def test_a_private_valkey_is_said_to_be_this_machine_s_own(tmp_path: Path) -> None:
    with copy(write_service(tmp_path), "") as only:
        assert wait_until(lambda: "on this machine only. Set SHOP_REDIS_URL" in only.output(), SOON)
