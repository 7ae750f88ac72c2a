"""Processes of jobs that reach a limit are replaced one at a time, and no job is lost, cancelled or repeated."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis

from sanicbase.testing import wait_until
from tests.preloaded import PreloadedService

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

SOON = 60.0
SERVICE = """
import asyncio, os
from sanicbase import Config, get_blocking_redis, get_redis, job, run_scripts

class LeakingConfig(Config):
    SERVER_NAME = "leaking"
    MODEL_LIST = []

kept = []

@job(name="leak")
async def leak(number: int) -> None:
    kept.append(os.urandom(4 * 1024 * 1024))
    await get_redis().rpush("ran", f"{number} {os.getpid()}")

@job(name="long")
async def long() -> None:
    await get_redis().rpush("began", os.getpid())
    await get_blocking_redis().blpop("go on")
    await get_redis().rpush("finished", os.getpid())

if __name__ == "__main__":
    run_scripts(LeakingConfig(), [leak, long], processes=int(os.environ["PROCESSES"]), concurrency=4)
"""


def enqueue(client: redis.Redis, name: str, **kwargs: object) -> None:
    message = {"task_id": os.urandom(8).hex(), "task_name": name, "labels": {}, "args": [], "kwargs": kwargs}
    fields = {"id": message["task_id"], "message": json.dumps(message)}
    client.xadd("{leaking:jobs:default}:stream", fields)  # type: ignore[arg-type]


def wait_for_runs(client: redis.Redis, least: int) -> None:
    wait_until(lambda: client.llen("ran") >= least, SOON, what=f"{least} runs")


@pytest.mark.parametrize(
    ("setting", "limit", "processes"),
    [
        ("MEMORY", 250 * 1024 * 1024, 2),
        pytest.param("RUNS", 20, 1, marks=pytest.mark.long),
        pytest.param("AGE", 2, 2, marks=pytest.mark.long),
    ],
)
def test_a_worker_that_reaches_a_limit_is_replaced_and_no_job_is_lost_or_repeated(
    setting: str, limit: int, processes: int, tmp_path: Path, redis_url: str
) -> None:
    service = tmp_path / "srv_leaking.py"
    service.write_text(SERVICE, encoding="utf-8")
    env = {
        "LEAKING_REDIS_URL": redis_url,
        f"LEAKING_JOB_WORKER_MAX_{setting}": str(limit),
        "LEAKING_GRACEFUL_SHUTDOWN_TIMEOUT": "0.2",
        "PROCESSES": str(processes),
    }
    with (
        redis.Redis.from_url(redis_url) as client,
        PreloadedService(
            service, command=[sys.executable, str(service)], cwd=tmp_path, prefix="LEAKING_", env=env
        ) as main,
    ):
        enqueue(client, "long")
        wait_until(lambda: client.llen("began"), SOON, what="a long run")
        number = 0
        while main.output().count("and is replaced.") < 1 or not client.llen("ran"):
            enqueue(client, "leak", number=number)
            number += 1
            wait_for_runs(client, number - 20)
        for further in range(20):
            enqueue(client, "leak", number=number + further)
        wait_until(lambda: client.llen("ran") == number + 20, SOON, what="all runs")
        client.rpush("go on", 1)
        wait_until(lambda: client.llen("finished"), SOON, what="the end of the long run")
        assert client.lrange("began", 0, -1) == client.lrange("finished", 0, -1), (
            "it was neither cancelled nor repeated"
        )
        ran = Counter(int(line.split()[0]) for line in client.lrange("ran", 0, -1))
        assert ran == Counter(range(number + 20))
        assert main.terminate() == 0
        assert main.survivors() == set()
        assert "ended with status" not in main.output()
