"""A process that reads cold keys as fast as it can: `python -m tests.cache.reading DB_URL REDIS_URL LOG GETS`.

It says "ready" on its output, begins when it is sent a line, and appends to LOG a line for each query it makes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sanicbase.cache.model_cache import ModelCache
from tests.cache.models import AuthorRC
from tests.cache.opening import library


async def read(db_url: str, redis_url: str, log: Path, gets: int) -> None:
    """Read key 1 by many tasks, spread over a few turns of the event loop."""
    ask = ModelCache._rows_of

    async def logged(self: ModelCache, index: object, keys: object) -> object:
        with log.open("a") as file:
            file.write("query\n")
        await asyncio.sleep(0.05)  # as a loaded database would take
        return await ask(self, index, keys)  # type: ignore[arg-type]

    ModelCache._rows_of = logged  # type: ignore[assignment,method-assign]
    async with library(db_url, redis_url, schema=False, CACHE_TIMEOUT=5):
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        values = await asyncio.gather(*(after(number * 0.0005) for number in range(gets)))
        say(str(sum(entry == AuthorRC(id=1, name="ann") for entry in values)))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def after(pause: float) -> AuthorRC | None:
    await asyncio.sleep(pause)
    return await AuthorRC.get(1)


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
