"""What a job costs: enqueuing and running empty jobs, beside saq, arq and taskiq-redis.

    python benchmarks/jobs.py

installs the contenders into environments in the folder of `--environments` when it runs for the first time, starts a
Redis of its own that writes an append-only file (`--redis` names another one), and takes two minutes. Each contender is
a process of its own, and runs in turn, several rounds; the Redis database is flushed before each. It enqueues all jobs
one after the other, and one worker runs them, ten at once. Figures are medians of CPU milliseconds of the process for
1000 jobs, and of jobs per second. With `--database` (a URL) sanicbase also enqueues in transactions, and the relay
moves the rows.

The last column says what becomes of the running jobs of a worker that is killed with kill -9, by the sources of saq
0.26, arq 0.28 and taskiq-redis 1.2:

- saq: `Job.retries` is 1 by default, so `Job.retryable` is False after the first run, and `RedisQueue.sweep` aborts the
  job when `Job.timeout` (10 s) is over: it is lost. With more retries the sweep, once a minute, starts it again.
- arq: a job leaves the queue when it has ended, and `Worker.start_jobs` skips it while its `in_progress` key exists,
  which expires after the longest `timeout` and 10 s (310 s by default): at least once, five minutes later.
- taskiq-redis: `RedisStreamBroker.listen` claims messages that are idle for `idle_timeout` (10 minutes), after it has
  read a new one: at least once, but not on an idle queue, and a job that runs longer is started twice.

Contenders with settings have those that give a killed worker's job to another one and keep no result, as sanicbase does
by default. Compare sanicbase with them, and with the defaults only for what the guarantee costs.
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
import venv
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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


async def saq(**options: int) -> list[tuple[str, float, float]]:
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
            await queue.enqueue("empty", number=number, **options)

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


async def arq(**options: int) -> list[tuple[str, float, float]]:
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
            [func(empty, name="empty", **options)],
            redis_settings=settings,
            max_jobs=10,
            handle_signals=False,
            poll_delay=0.01,
        )
        task = asyncio.create_task(worker.main())
        await everything.wait()
        task.cancel()

    return [await report("enqueue", enqueue()), await report("run", run())]


@dataclass(frozen=True)
class Contender:
    """A library with settings, and what becomes of the jobs of a killed worker."""

    package: str
    run: Callable[[], Coroutine[Any, Any, list[tuple[str, float, float]]]]
    killed: str


SAQ = "saq[redis] typing-extensions"  # it imports the second one without depending on it
CONTENDERS = {
    "sanicbase": Contender("", sanicbase_, "run again within 10 s"),
    "saq": Contender(SAQ, saq, "lost"),
    "saq, retries=6, ttl=-1": Contender(
        SAQ, partial(saq, retries=6, ttl=-1), "run again within 70 s; runs longer than 10 s are cancelled"
    ),
    "taskiq-redis": Contender("taskiq-redis", taskiq, "run again after 10 min, when a new job arrives"),
    "arq": Contender("arq", arq, "run again after 310 s"),
    "arq, keep_result=0": Contender("arq", partial(arq, keep_result=0), "run again after 310 s"),
}


def python_with(package: str, environments: Path) -> str:
    """A Python that has that package, which is installed if it is not there."""
    if not package:
        return sys.executable
    python = environments / package.partition("[")[0] / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *package.split()], check=True)
    return str(python)


@contextmanager
def redis_with_file() -> Iterator[str]:
    """A Redis of this program, with an append-only file."""
    from sanicbase.testing.binaries import find_binaries  # contenders have not what it imports
    from sanicbase.testing.private_server import private_server

    with private_server("Redis") as server:
        place = ["--port", str(server.port), "--bind", "127.0.0.1", "--dir", str(server.directory), "--save", ""]
        command = [*(find_binaries("redis-server") or sys.exit("There is no redis-server.")), *place]
        server.start([*command, "--appendonly", "yes"], lambda: True)
        yield f"redis://127.0.0.1:{server.port}/0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", default="")
    parser.add_argument("--database", default="")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "sanicbase-benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    import redis  # contenders have other versions

    pythons = {name: python_with(contender.package, given.environments) for name, contender in CONTENDERS.items()}
    with redis_with_file() if not given.redis else nullcontext(given.redis) as url:
        env = {
            "JOBS_BENCH_REDIS": url,
            "JOBS_BENCH_DATABASE": given.database,
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(given.rounds):
            for name, python in pythons.items():
                with redis.Redis.from_url(url) as client:
                    client.flushdb()
                for what, cpu, rate in measured(python, name, env):
                    figures.setdefault((name, what), []).append((cpu, rate))
    print(
        "| contender | work | CPU ms for 1000 jobs | jobs per second | jobs of a killed worker |\n|---|---|---|---|---|"
    )
    for (name, what), rounds in figures.items():
        cpu, rate = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"| {name} | {what} | {cpu:.0f} | {rate:.0f} | {CONTENDERS[name].killed} |")


def measured(python: str, name: str, env: dict[str, str]) -> list[tuple[str, float, float]]:
    """The figures of one round of a contender."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(Path(__file__).absolute()), "contender", name]
        done = subprocess.run(command, env=os.environ | env, cwd=folder, check=True, stdout=subprocess.PIPE)
    return [(what, cpu, rate) for what, cpu, rate in json.loads(done.stdout.splitlines()[-1])]


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        print(json.dumps(asyncio.run(CONTENDERS[sys.argv[2]].run())))
    else:
        main()
