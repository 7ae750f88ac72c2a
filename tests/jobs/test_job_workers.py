"""Workers as processes: killed, stopped and continued, told to stop; and their Redis restarted."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from sanicbase.testing import ServiceProcess, run_to_exit, wait_until
from sanicbase.testing.binaries import find_binaries
from sanicbase.testing.private_server import private_server
from tests.preloaded import PreloadedService, preloaded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

SOON = 60.0
SERVICE = """
import asyncio, json, os
from sanicbase import Config, current_job, get_redis, job, run_scripts

class ShopConfig(Config):
    SERVER_NAME = "shop"

async def note(event):
    run = current_job()
    await get_redis().rpush("events", json.dumps([run.name, event, os.getpid(), run.attempt]))

@job(name="long")
async def long(seconds: float) -> None:
    await note("begins")
    try:
        await asyncio.sleep(seconds)
        await note("ends")
    except asyncio.CancelledError:
        await note("stopped")
        raise

@job(name="hang_once")
async def hang_once() -> None:
    first = await get_redis().set("hung", 1, nx=True)
    await note("begins")
    if first:
        await asyncio.sleep(600)
    await note("ends")

@job(name="crash", retries=0)
async def crash() -> None:
    await note("begins")
    os.kill(os.getpid(), 9)

if __name__ == "__main__":
    run_scripts(ShopConfig(), [long, hang_once, crash], concurrency=int(os.environ.get("CONCURRENCY", 1)))
"""


class Event(NamedTuple):
    job: str
    event: str
    pid: int
    attempt: int


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def service(tmp_path: Path) -> Path:
    path = tmp_path / "srv_shop.py"
    path.write_text(SERVICE, encoding="utf-8")
    return path


def worker(service: Path, redis_url: str, **env: str) -> ServiceProcess:
    env = {"SHOP_REDIS_URL": redis_url, **env}
    return PreloadedService(
        service, command=[sys.executable, str(service)], cwd=service.parent, prefix="SHOP_", env=env
    )


def enqueue(client: redis.Redis, name: str, **kwargs: Any) -> None:
    message = {"task_id": os.urandom(8).hex(), "task_name": name, "labels": {}, "args": [], "kwargs": kwargs}
    fields = {"id": message["task_id"], "message": json.dumps(message)}
    client.xadd("{shop:jobs:default}:stream", fields)  # type: ignore[arg-type]


def events(client: redis.Redis, name: str) -> list[Event]:
    return [event for line in client.lrange("events", 0, -1) if (event := Event(*json.loads(line))).job == name]


def happened(client: redis.Redis, name: str, *expected: str) -> None:
    wait_until(lambda: [event.event for event in events(client, name)] == [*expected], SOON, what=f"{name} {expected}")


def test_the_job_of_a_killed_worker_runs_again_on_an_idle_queue_and_that_of_a_living_one_does_not(
    service: Path, redis_url: str, client: redis.Redis
) -> None:
    enqueue(client, "long", seconds=12)  # the lease lasts 7
    enqueue(client, "hang_once")
    with worker(service, redis_url) as one, worker(service, redis_url) as two, worker(service, redis_url) as three:
        workers = {worker.pid: worker for worker in (one, two, three)}
        happened(client, "hang_once", "begins")
        happened(client, "long", "begins")
        (hanging,) = events(client, "hang_once")
        workers[hanging.pid].kill()
        happened(client, "hang_once", "begins", "begins", "ends")
        happened(client, "long", "begins", "ends")
    again = events(client, "hang_once")
    assert again[1].pid != hanging.pid
    assert [event.attempt for event in again] == [1, 1, 1]
    assert client.xlen("{shop:jobs:default}:stream") == 0


@pytest.mark.long
def test_a_worker_that_was_stopped_and_continues_gives_up_the_run_that_another_one_has(
    service: Path, redis_url: str, client: redis.Redis
) -> None:
    enqueue(client, "long", seconds=600)
    with worker(service, redis_url) as one, worker(service, redis_url) as two:
        happened(client, "long", "begins")
        stopped = {worker.pid: worker for worker in (one, two)}[events(client, "long")[0].pid]
        os.kill(stopped.pid, signal.SIGSTOP)
        happened(client, "long", "begins", "begins")
        os.kill(stopped.pid, signal.SIGCONT)
        happened(client, "long", "begins", "begins", "stopped")
        assert events(client, "long")[-1].pid == stopped.pid
        assert wait_until(lambda: "lost, and another worker has it, or it was dropped" in stopped.output(), SOON)


def test_a_stopping_worker_gives_its_job_to_another_one_at_once(
    service: Path, redis_url: str, client: redis.Redis
) -> None:
    enqueue(client, "long", seconds=600)
    with worker(service, redis_url, SHOP_GRACEFUL_SHUTDOWN_TIMEOUT="0.2") as one:
        happened(client, "long", "begins")
        assert one.terminate() == 0
        assert "stopped, and it was put back" in one.output()
    assert client.xinfo_groups("{shop:jobs:default}:stream")[0]["consumers"] == 0
    with worker(service, redis_url) as two:
        happened(client, "long", "begins", "stopped", "begins")
        assert events(client, "long")[-1].pid == two.pid


@pytest.mark.long
def test_a_job_whose_workers_die_ten_times_is_a_dead_letter(service: Path, redis_url: str, client: redis.Redis) -> None:
    enqueue(client, "crash")
    client.xgroup_create("{shop:jobs:default}:stream", "workers", id="0")
    read: Any = client.xreadgroup("workers", "dead", {"{shop:jobs:default}:stream": ">"})
    ((entry, _),) = read[0][1]
    client.xclaim("{shop:jobs:default}:stream", "workers", "dead", 0, [entry], retrycount=9, idle=60_000)
    with worker(service, redis_url) as last:  # the tenth that dies
        assert last.wait(SOON) == -signal.SIGKILL
    client.xclaim("{shop:jobs:default}:stream", "workers", "dead", 0, [entry], retrycount=10, idle=60_000)
    with worker(service, redis_url):
        wait_until(lambda: client.hlen("{shop:jobs:default}:letters"), SOON, what="a dead letter")
    (letter,) = client.hvals("{shop:jobs:default}:letters")
    assert json.loads(letter)["reason"] == "10 workers died during its runs."
    assert len(events(client, "crash")) == 1


@pytest.mark.long
def test_jobs_survive_a_restart_of_redis_and_a_run_continues(service: Path) -> None:
    with private_server("Redis") as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        options = ["--port", str(server.port), "--bind", "127.0.0.1", "--dir", str(server.directory), "--save", ""]
        binaries = find_binaries("redis-server") or pytest.skip("there is no redis-server")
        server.start([*binaries, *options, "--appendonly", "yes"], lambda: answers(url))
        with redis.Redis.from_url(url) as client, worker(service, url) as one, worker(service, url) as two:
            enqueue(client, "long", seconds=10)  # the lease lasts 7
            happened(client, "long", "begins")
            enqueue(client, "long", seconds=0)
            happened(client, "long", "begins", "begins", "ends")
            server.restart()
            enqueue(client, "hang_once")
            happened(client, "hang_once", "begins")
            happened(client, "long", "begins", "begins", "ends", "ends")
            assert {event.pid for event in events(client, "long")} == {one.pid, two.pid}


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client, suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


MANY = """
import os, sys
sys.path.insert(0, os.getcwd())
from srv_shop import *

if __name__ == "__main__":
    run_scripts(ShopConfig(), [long, hang_once, crash], processes=2, concurrency=1)
"""


def test_several_processes_are_replaced_when_they_die_and_stop_together(
    service: Path, redis_url: str, client: redis.Redis
) -> None:
    launch = service.with_name("srv_many.py")
    launch.write_text(MANY, encoding="utf-8")
    enqueue(client, "long", seconds=600)
    enqueue(client, "hang_once")
    with worker(launch, redis_url, SHOP_GRACEFUL_SHUTDOWN_TIMEOUT="0.2") as main:
        happened(client, "long", "begins")
        happened(client, "hang_once", "begins")
        (hanging,), (running,) = events(client, "hang_once"), events(client, "long")
        assert len({hanging.pid, running.pid, main.pid}) == 3
        os.kill(hanging.pid, signal.SIGKILL)
        happened(client, "hang_once", "begins", "begins", "ends")
        assert events(client, "hang_once")[-1].pid not in (hanging.pid, running.pid)
        assert "ended with status -9. It is started again in" in main.output()
        assert main.terminate() == 0
        assert [event.event for event in events(client, "long")] == ["begins", "stopped"]
        assert main.survivors() == set()


@pytest.mark.long
def test_the_processes_end_with_a_killed_main_process(service: Path, redis_url: str, client: redis.Redis) -> None:
    launch = service.with_name("srv_many.py")
    launch.write_text(MANY, encoding="utf-8")
    enqueue(client, "long", seconds=600)
    with worker(launch, redis_url) as main:
        happened(client, "long", "begins")
        main.pids()
        main.kill()
        wait_until(lambda: not main.survivors(), SOON, what="the end of all processes")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            "[long.function], processes=2",
            "`processes` is for timers and jobs, and each process would run long. Run functions",
        ),
        ("[long], processes=0", "`processes` must be from 1 to 1024."),
        ("[long], concurrency=0", "`concurrency` must be from 1 to 10000."),
        ("[job(once=True)(long.function)]", "has `once`, but the database default has no table of completed jobs."),
    ],
)
def test_an_invalid_declaration_ends_the_process_with_an_error_message(
    service: Path, redis_url: str, call: str, sentence: str
) -> None:
    launch = service.with_name("srv_wrong.py")
    launch.write_text(
        SERVICE.replace('[long, hang_once, crash], concurrency=int(os.environ.get("CONCURRENCY", 1))', call)
    )
    env = {"SHOP_REDIS_URL": redis_url}
    report = run_to_exit(launch, command=preloaded(str(launch)), cwd=launch.parent, prefix="SHOP_", env=env)
    assert report.code == 1
    assert sentence in report.output
