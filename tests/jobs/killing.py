"""Copies of a service that are killed one after the other, while each second is to be run once.

`python -m tests.jobs.killing --seconds 60 --every 7` is the long form; it ends with status 1 when a second was run
twice or not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import redis

from sanicbase.testing import ServiceProcess, redis_server, wait_until
from tests.preloaded import PreloadedService

__all__ = ["RUNS", "Run", "copy", "kill_copies", "runs", "write_service", "wrong_runs"]

RUNS = "runs"  # the list in Redis to which each run adds itself
SERVICE = """
import asyncio, json, os, signal, sys, time
from sanicbase import Config, get_redis, run_scripts
from sanicbase.jobs import Timer, current_tick

class ShopConfig(Config):
    SERVER_NAME = "shop"

async def note(event="run"):
    tick = current_tick()
    run = {{"moment": tick.moment.timestamp(), "fence": tick.fence, "pid": os.getpid(), "event": event}}
    await get_redis().rpush("runs", json.dumps(run))

{functions}

if __name__ == "__main__":
    run_scripts(ShopConfig(), [{scripts}])
"""


class Run(NamedTuple):
    """One line that a run has written: of which tick, by which process."""

    moment: float
    fence: int
    pid: int
    event: str


def write_service(directory: Path, scripts: str = "Timer(note, every=1)", functions: str = "") -> Path:
    """A launch file whose timers write down their runs, by `await note()`."""
    path = directory / "srv_shop.py"
    path.write_text(SERVICE.format(functions=functions, scripts=scripts), encoding="utf-8")
    return path


def copy(service: Path, redis_url: str, **env: str) -> ServiceProcess:
    """One more copy of the service."""
    return PreloadedService(service, cwd=service.parent, prefix="SHOP_", env={"SHOP_REDIS_URL": redis_url, **env})


def runs(client: redis.Redis) -> list[Run]:
    """What has been run so far, in the order in which it was written down."""
    return [Run(**json.loads(line)) for line in client.lrange(RUNS, 0, -1)]


def kill_copies(directory: Path, redis_url: str, *, seconds: float, every: float, copies: int = 3) -> list[float]:
    """Run copies, kill one `every` some seconds and start another; return the moments that were run.

    Each time the one that has just run is killed, as soon as it has written that down: it may not even have told the
    others that it is done. Before it has written, the tick would be lost with it, as it should be.
    """
    service = write_service(directory)
    with ExitStack() as stack, redis.Redis.from_url(redis_url) as client:
        living = {one.pid: one for one in (stack.enter_context(copy(service, redis_url)) for _ in range(copies))}
        wait_until(lambda: client.llen(RUNS), 30, what="the first run")
        end = time.monotonic() + seconds
        kill_at = time.monotonic() + every
        while time.monotonic() < end:
            last = _another_run(client)
            if time.monotonic() > kill_at:
                kill_at += every
                living.pop(last.pid).kill()
                another = stack.enter_context(copy(service, redis_url))
                living[another.pid] = another
        return [run.moment for run in runs(client)]


def wrong_runs(moments: Sequence[float]) -> dict[str, list[float]]:
    """Which seconds from the first to the last were run twice, and which not at all."""
    seconds = [min(moments) + n for n in range(round(max(moments) - min(moments)) + 1)]
    count = Counter(moments)
    return {
        "twice": [moment for moment in seconds if count[moment] > 1],
        "not at all": [moment for moment in seconds if not count[moment]],
    }


def _another_run(client: redis.Redis) -> Run:
    count = int(client.llen(RUNS))
    wait_until(lambda: int(client.llen(RUNS)) > count, 30, what="another run")
    return runs(client)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=7)
    given = parser.parse_args()
    with redis_server() as url, tempfile.TemporaryDirectory() as directory:
        moments = kill_copies(Path(directory), url, seconds=given.seconds, every=given.every)
    found = wrong_runs(moments)
    sys.stdout.write(f"{len(moments)} runs of {len(set(moments))} seconds; {found}\n")
    sys.exit(any(found.values()))


if __name__ == "__main__":
    main()
