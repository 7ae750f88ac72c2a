"""Jobs with `process=True`: run in other processes, which may be killed, and never outlive their worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sanicbase import Config, ConfigError, job, job_status, lifespan
from sanicbase.jobs import Job
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.opening import inspect_queue
from sanicbase.jobs.worker import run_jobs
from sanicbase.testing import capture_jobs, wait_until
from tests.jobs.computing import compute, die, fail, hang, runs
from tests.jobs.running import until, working
from tests.preloaded import PreloadedService

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


class ComputingConfig(Config):
    SERVER_NAME = "computing"


@pytest.fixture
async def config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Config]:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO")
    config = ComputingConfig(REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.2)
    async with lifespan(config):
        yield config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs"


async def left() -> list[ListedJob]:
    """The jobs that are in the queue, in any state."""
    queue = inspect_queue("default")
    return [job for state in JobState for job in await queue.listed(state, 100)]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@contextmanager
def timeout_of(job: Job[Any], seconds: float) -> Iterator[None]:
    before, job.timeout = job.timeout, seconds
    try:
        yield
    finally:
        job.timeout = before


async def test_a_function_runs_in_another_process_and_its_result_and_log_reach_the_worker(
    config: Config, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [await compute.enqueue(str(file), 1000), await compute.enqueue(str(file), 10)]
    await fail.enqueue(str(file))
    async with working(config, compute, fail):
        await until(lambda: len(runs(file)) == 3 and "it is now a dead letter" in caplog.text)
        async with asyncio.timeout(30):
            while len(await left()) > 1:  # the dead letter
                await asyncio.sleep(0.01)
    results = [status.result for job_id in ids if (status := await job_status(job_id)) is not None]
    pids = {pid for _, _, pid in runs(file)}
    assert [result["sum"] for result in results if isinstance(result, dict)] == [499500, 45]
    assert os.getpid() not in pids
    assert all(is_gone(pid) for pid in pids)
    assert {(record.name, record.getMessage()) for record in caplog.records} >= {
        ("shop", "Computing for password=hunter2: 1000")
    }
    (dead,) = await left()
    assert dead.letter is not None
    assert dead.letter.reason.startswith("LookupError: ")
    assert "in fail" in dead.letter.trace
    assert "hunter2" not in dead.letter.reason + dead.letter.trace


async def test_a_process_that_dies_or_is_killed_fails_its_own_run_only_and_the_job_runs_again(
    config: Config, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await hang.enqueue(str(file))
    await die.enqueue(str(file))
    async with working(config, hang, die, pool_size=2):
        await until(lambda: ("hang", 1) in [(name, attempt) for name, attempt, _ in runs(file)])
        await until(lambda: len(runs(file)) == 3)
        (killed,) = {pid for name, _, pid in runs(file) if name == "hang"}
        assert not is_gone(killed)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(runs(file)) == 4)
        async with asyncio.timeout(30):
            while await left():
                await asyncio.sleep(0.01)
    assert sorted((name, attempt) for name, attempt, _ in runs(file)) == [
        ("die", 1),
        ("die", 2),
        ("hang", 1),
        ("hang", 2),
    ]
    assert "ProcessDied: Its process ended with status 7" in caplog.text
    assert "ProcessDied: Its process was ended by SIGKILL" in caplog.text


async def test_a_timeout_and_a_cancellation_kill_the_process_and_the_next_job_gets_another_one(
    config: Config, file: Path
) -> None:
    with timeout_of(hang, 0.5):
        await hang.enqueue(str(file))
        async with working(config, hang, pool_size=1):
            await until(lambda: len(runs(file)) == 2)
            late, second = (pid for _, _, pid in runs(file))
            assert late != second
            assert is_gone(late)
    with timeout_of(hang, 600):
        async with working(config, hang, compute, pool_size=1):
            job_id = await hang.enqueue(str(file))
            await until(lambda: len(runs(file)) == 3)
            await compute.enqueue(str(file), 1)  # waits for the process
            assert await hang.cancel(job_id)
            await until(lambda: len(runs(file)) == 4)
            assert is_gone(runs(file)[2][2])
            async with asyncio.timeout(30):
                while await left():
                    await asyncio.sleep(0.01)


async def test_a_worker_that_stops_kills_its_processes_and_puts_their_jobs_back(config: Config, file: Path) -> None:
    async with working(config, hang, pool_size=1):
        await hang.enqueue(str(file))
        await hang.enqueue(str(file))  # waits for the process
        await until(lambda: runs(file))
        async with asyncio.timeout(30):
            while {job.state for job in await left()} != {JobState.RUNNING}:
                await asyncio.sleep(0.01)
    assert is_gone(runs(file)[0][2])
    assert [job.state for job in await left()] == [JobState.WAITING] * 2
    assert {job.message.labels.attempt for job in await left() if job.message} == {1}


async def test_a_test_and_a_direct_call_run_the_function_in_their_own_process(file: Path) -> None:
    with capture_jobs() as jobs:
        await compute.enqueue(str(file), 3)
        await jobs.run(compute)
    assert [pid for _, _, pid in runs(file)] == [os.getpid()]


async def test_a_function_that_a_process_cannot_import_is_refused(config: Config) -> None:
    @job(process=True)
    def local() -> None: ...

    with pytest.raises(ConfigError, match=r"has `process`, but its function is not at .*<locals>.local"):
        await run_jobs([local], config)


SERVICE = """
import logging, os, sys, time
from sanicbase import Config, job, run_scripts

class ShopConfig(Config):
    SERVER_NAME = "computing"

@job(process=True, name="hang")
def hang(file: str) -> None:
    open(file, "a").write(f"hang 1 {os.getpid()}\\n")
    time.sleep(600)

if __name__ == "__main__":
    run_scripts(ShopConfig(), [hang])
"""


@pytest.mark.parametrize("end", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
async def test_no_process_outlives_its_worker(
    config: Config, tmp_path: Path, file: Path, redis_url: str, end: signal.Signals
) -> None:
    await hang.enqueue(str(file))
    service = tmp_path / "srv_shop.py"
    service.write_text(SERVICE, encoding="utf-8")
    env = {"SHOP_REDIS_URL": redis_url, "COMPUTING_REDIS_URL": redis_url, "COMPUTING_GRACEFUL_SHUTDOWN_TIMEOUT": "0.2"}
    with PreloadedService(
        service, command=[sys.executable, str(service)], cwd=tmp_path, prefix="COMPUTING_", env=env
    ) as worker:
        await asyncio.to_thread(wait_until, lambda: runs(file), 30, what="a run in the launch file's function")
        pid = runs(file)[0][2]
        os.kill(pid, signal.SIGTERM)  # as systemd does to all processes
        assert not is_gone(pid)
        os.kill(worker.pid, end)
        await asyncio.to_thread(worker.wait, 30)
        wait_until(lambda: is_gone(pid), 10, what="the end of the process")
