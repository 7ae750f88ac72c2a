"""What a job costs: enqueuing and running empty jobs, beside saq, arq and taskiq-redis.

    for name in saq[redis] arq taskiq-redis; do python -m venv /tmp/$name && /tmp/$name/bin/pip install $name; done
    python benchmarks/jobs.py --redis redis://127.0.0.1:6379/9 \\
        --python saq=/tmp/saq[redis]/bin/python arq=/tmp/arq/bin/python taskiq-redis=/tmp/taskiq-redis/bin/python

Each contender is a process of its own, and runs in turn, several rounds; the Redis database is flushed before each.
It enqueues all jobs one after the other, and one worker runs them, ten at once. Figures are medians of CPU
milliseconds of the process for 1000 jobs, and of jobs per second. With `--database` (a URL) sanicbase also enqueues
in transactions, and the relay moves the rows.

What they promise differs. taskiq-redis gives a killed worker's job to another one only when a new message arrives, saq
and arq after a time-out that has to be longer than any job, sanicbase after seven seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

JOBS = int(os.environ.get("JOBS_BENCH_COUNT", "3000"))
URL = os.environ.get("JOBS_BENCH_REDIS", "")
DATABASE = os.environ.get("JOBS_BENCH_DATABASE", "")


def report(name: str, work: Awaitable[None]) -> Awaitable[tuple[str, float, float]]:
    async def measured() -> tuple[str, float, float]:
        cpu, began = time.process_time(), time.perf_counter()
        await work
        return name, (time.process_time() - cpu) * 1e6 / JOBS, JOBS / (time.perf_counter() - began)

    return measured()


async def sanicbase_() -> list[tuple[str, float, float]]:  # noqa: C901
    from tortoise import Tortoise

    from sanicbase import Config, OutboxMessage, job, lifespan, transaction
    from sanicbase.jobs.outbox import _Relay, _relay_of
    from sanicbase.jobs.worker import run_jobs

    class Outbox(OutboxMessage):
        class Meta:
            table = "bench_outbox"

    class BenchConfig(Config):
        SERVER_NAME = "bench"

        def tortoise(self):  # type: ignore[no-untyped-def]
            settings = super().tortoise()
            settings["apps"]["bench"]["models"].append(__name__)
            return settings

    sys.modules[__name__].Outbox = Outbox  # type: ignore[attr-defined]
    done, everything = 0, asyncio.Event()

    @job(name="empty")
    async def empty(number: int) -> None:
        nonlocal done
        done += 1
        if done == JOBS:
            everything.set()

    async def enqueue() -> None:
        for number in range(JOBS):
            await empty.enqueue(number)

    async def run() -> None:
        nonlocal done
        done = 0
        everything.clear()
        worker = asyncio.create_task(run_jobs([empty], config, concurrency=10))
        await everything.wait()
        worker.cancel()
        await asyncio.wait({worker})

    async def enqueue_in_transactions() -> None:
        for number in range(JOBS):
            async with transaction():
                await empty.enqueue(number)

    async def relay() -> None:
        await _relay_of(Outbox).drain()

    config = BenchConfig(REDIS_URL=URL, DB_URL=DATABASE, LOG_CONSOLE=False)
    async with lifespan(config, check=False):
        results = [await report("enqueue", enqueue()), await report("run", run())]
        if DATABASE:
            await Tortoise.generate_schemas()
            _Relay.wake = lambda self: None  # type: ignore[method-assign]
            results.append(await report("enqueue in a transaction", enqueue_in_transactions()))
            results.append(await report("relay", relay()))
        return results


async def saq() -> list[tuple[str, float, float]]:
    from saq import Queue, Worker

    queue = Queue.from_url(URL)
    done, everything = 0, asyncio.Event()

    async def empty(ctx: object, *, number: int) -> None:
        nonlocal done
        done += 1
        if done == JOBS:
            everything.set()

    async def enqueue() -> None:
        for number in range(JOBS):
            await queue.enqueue("empty", number=number)

    async def run() -> None:
        worker = Worker(queue, functions=[("empty", empty)], concurrency=10)
        task = asyncio.create_task(worker.start())
        await everything.wait()
        await worker.stop()
        task.cancel()

    await queue.connect()
    return [await report("enqueue", enqueue()), await report("run", run())]


async def taskiq() -> list[tuple[str, float, float]]:
    from taskiq.receiver import Receiver
    from taskiq_redis import RedisStreamBroker

    broker = RedisStreamBroker(URL)
    done, everything = 0, asyncio.Event()

    @broker.task(task_name="empty")
    async def empty(number: int) -> None:
        nonlocal done
        done += 1
        if done == JOBS:
            everything.set()

    async def enqueue() -> None:
        for number in range(JOBS):
            await empty.kiq(number)

    async def run() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(Receiver(broker, max_async_tasks=10, run_startup=False).listen(stop))
        await everything.wait()
        stop.set()
        task.cancel()

    await broker.startup()
    return [await report("enqueue", enqueue()), await report("run", run())]


async def arq() -> list[tuple[str, float, float]]:
    from arq import create_pool
    from arq.connections import RedisSettings
    from arq.worker import Worker, func

    settings = RedisSettings.from_dsn(URL)
    redis = await create_pool(settings)
    done, everything = 0, asyncio.Event()

    async def empty(ctx: object, number: int) -> None:
        nonlocal done
        done += 1
        if done == JOBS:
            everything.set()

    async def enqueue() -> None:
        for number in range(JOBS):
            await redis.enqueue_job("empty", number)

    async def run() -> None:
        worker = Worker(
            [func(empty, name="empty")], redis_settings=settings, max_jobs=10, handle_signals=False, poll_delay=0.01
        )
        task = asyncio.create_task(worker.main())
        await everything.wait()
        task.cancel()

    return [await report("enqueue", enqueue()), await report("run", run())]


CONTENDERS: dict[str, Callable[[], Awaitable[list[tuple[str, float, float]]]]] = {
    "sanicbase": sanicbase_,
    "saq": saq,
    "taskiq-redis": taskiq,
    "arq": arq,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--database", default="")
    parser.add_argument("--python", nargs="*", default=[], help="NAME=PATH: a Python with that contender")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pythons = {"sanicbase": sys.executable, **dict(pair.split("=", 1) for pair in given.python)}
    env = {
        "JOBS_BENCH_REDIS": given.redis,
        "JOBS_BENCH_DATABASE": given.database,
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(given.rounds):
        for name, python in pythons.items():
            subprocess.run(["redis-cli", "-u", given.redis, "flushdb"], check=True, capture_output=True)
            with tempfile.TemporaryDirectory() as folder:
                command = [python, str(Path(__file__).absolute()), "contender", name]
                result = subprocess.run(command, env=os.environ | env, cwd=folder, check=True, stdout=subprocess.PIPE)
            for title, cpu, rate in json.loads(result.stdout.splitlines()[-1]):
                figures.setdefault((name, title), []).append((cpu, rate))
    print("| contender | work | CPU ms for 1000 jobs | jobs per second |\n|---|---|---|---|")
    for (name, title), rounds in figures.items():
        cpu, rate = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"| {name} | {title} | {cpu:.0f} | {rate:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        print(json.dumps(asyncio.run(CONTENDERS[sys.argv[2]]())))
    else:
        main()
