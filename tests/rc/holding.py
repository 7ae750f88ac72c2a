"""Programs that hold a lock, to be killed and stopped: `python -m tests.rc.holding count|hold REDIS_URL …`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sanicbase import Config, LockLost, StaleTokenError, lock
from sanicbase.rc import RedisClients
from tests.db.opening import Store, opened
from tests.db.reports import Report

__all__ = ["ShopConfig"]


class ShopConfig(Config):
    SERVER_NAME = "shop"


async def count(redis_url: str, name: str, times: str) -> None:
    """Count in a file in a way that loses what two do at once."""
    path = Path(name)
    async with RedisClients(ShopConfig(REDIS_URL=redis_url), ""):
        for _ in range(int(times)):
            async with lock("count", ttl=5):
                number = int(path.read_text(encoding="ascii"))  # noqa: ASYNC240
                await asyncio.sleep(0.001)
                path.write_text(str(number + 1), encoding="ascii")  # noqa: ASYNC240


async def hold(redis_url: str, ttl: str, database: str) -> None:
    """Hold a lock until it is lost, and then write a report all the same."""
    token = 0
    async with RedisClients(ShopConfig(REDIS_URL=redis_url), ""), opened(Store("sqlite", database), "tests.db.reports"):
        try:
            async with lock("report", ttl=float(ttl)) as held:
                token = held.token
                print(token, flush=True)  # noqa: T201
                await asyncio.Event().wait()
        except LockLost as exc:
            print(f"lost: {exc}", flush=True)  # noqa: T201
        try:
            await Report.update_fenced({"id": 1}, {"body": "late"}, token=token)
            print("written", flush=True)  # noqa: T201
        except StaleTokenError:
            print("refused", flush=True)  # noqa: T201


if __name__ == "__main__":
    program = {"count": count, "hold": hold}[sys.argv[1]]
    asyncio.run(program(*sys.argv[2:]))
