"""A process that writes, and is killed: `python -m tests.db.crashing stream KIND URL TRACE --kills 20 --seed 1`.

`after-commit` kills itself as the first effect of its transaction. `stream` starts one process after the other, each
writing transaction after transaction, and kills each at a moment of chance. An effect's trace is a line in a file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from tortoise.expressions import F

from sanicbase.db import on_commit, transaction
from sanicbase.testing import wait_until
from tests.db.library import Tally
from tests.db.opening import Store, opened

__all__ = ["SHARED"]

SHARED = "shared"  # the row that every transaction writes


def trace(path: Path, name: str) -> None:
    with path.open("a") as file:
        file.write(f"{name}\n")


async def write(path: Path, name: str) -> None:
    async with transaction():
        await Tally.create(name=name)
        await Tally.filter(name=SHARED).update(n=F("n") + 1)
        await on_commit(partial(trace, path, name))
        await Tally.create(name=f"{name}-second")


async def end_after_commit(store: Store, path: Path) -> None:
    async with opened(store, "tests.db.library"), transaction():
        await on_commit(partial(os.kill, os.getpid(), signal.SIGKILL))
        await write(path, "a")


async def stream(store: Store, path: Path, prefix: str) -> None:
    async with opened(store, "tests.db.library"):
        number = 0
        while True:
            await write(path, f"{prefix}-{number}")
            number += 1


def forked(work: Coroutine[Any, Any, None]) -> int:
    if pid := os.fork():
        work.close()
        return pid
    try:
        asyncio.run(work)
    finally:
        os._exit(1)


def kill_streams(store: Store, path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    path.touch()
    for kill in range(kills):
        size = path.stat().st_size
        pid = forked(stream(store, path, str(kill)))
        try:
            # Nothing of the process before is in its way.
            wait_until(lambda: path.stat().st_size > size, 20, what="a transaction after a kill")  # noqa: B023
            time.sleep(chance.uniform(0, 0.05))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["after-commit", "stream"])
    parser.add_argument("kind")
    parser.add_argument("url")
    parser.add_argument("trace", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    store = Store(args.kind, args.url)
    if args.what == "stream":
        kill_streams(store, args.trace, args.kills, args.seed)
    else:
        asyncio.run(end_after_commit(store, args.trace))


if __name__ == "__main__":
    main()
