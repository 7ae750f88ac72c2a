"""A limit is one for all workers of a service, with a Redis that dies and returns."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sanicbase.testing import ServerMissing, ServiceProcess, wait_until
from sanicbase.testing.private_server import PrivateServer
from tests.preloaded import PreloadedService
from tests.rc import kinds

WORKERS = 4
CONFIG = 'from sanicbase import Config\nclass ShopConfig(Config):\n    SERVER_NAME = "shop"\n    MODEL_LIST = []\n'
LAUNCH = """
import os
from sanic import Blueprint
from sanicbase import APIView, RateLimit, create_app, endpoint, serve
from sanicbase.http.limits import header
from shop.config import ShopConfig

LIMIT = RateLimit("100/hour", by=header("X-API-Key"))

class LimitedAPI(APIView, public=True, limit=LIMIT):
    async def get(self, request) -> int:
        return os.getpid()

class FreeAPI(APIView, public=True):
    async def get(self, request) -> int:
        return os.getpid()

blueprint = Blueprint("shop")
LimitedAPI.attach(blueprint, "/limited")
FreeAPI.attach(blueprint, "/free")
app = create_app(ShopConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""


class Shop(NamedTuple):
    service: ServiceProcess
    redis: PrivateServer


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop" / "config").mkdir(parents=True)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "config" / "__init__.py").write_text(CONFIG)
    (folder / "http_shop.py").write_text(LAUNCH)
    try:
        with kinds.server() as redis:
            env = {
                "SHOP_WORKERS": str(WORKERS),
                "SHOP_REDIS_URL": kinds.url(redis),
                "SHOP_RATE_LIMIT_TIMEOUT": "30",  # a busy machine is no outage
            }
            with PreloadedService(folder / "http_shop.py", cwd=folder, prefix="SHOP_", env=env) as service:
                wait_until(lambda: "shop_http is serving." in service.output(), 60, what="the last worker")
                yield Shop(service, redis)
    except ServerMissing as exc:
        pytest.skip(str(exc))


class Answers(NamedTuple):
    statuses: Counter[int]
    workers: set[bytes]


async def ask(shop: Shop, path: str, key: str, count: int) -> Answers:
    """So many requests, ten on each connection and twenty connections at a time, with the workers that answered 200."""
    head = f"GET {path} HTTP/1.1\r\nHost: shop\r\nX-API-Key: {key}\r\n\r\n".encode()
    turns = asyncio.Semaphore(20)

    async def connection() -> list[tuple[int, bytes]]:
        async with turns:
            reader, writer = await asyncio.open_connection("127.0.0.1", shop.service.port)
            responses = []
            for _ in range(10):
                writer.write(head)
                response = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(response.lower().partition(b"content-length: ")[2].split()[0]))
                responses.append((int(response.split()[1]), body))
            writer.close()
            return responses

    responses = [
        response for part in await asyncio.gather(*(connection() for _ in range(count // 10))) for response in part
    ]
    return Answers(Counter(status for status, _ in responses), {body for status, body in responses if status == 200})


def outages(shop: Shop) -> int:
    """How many workers have said that they count by themselves."""
    return shop.service.output().count("Redis does not count the requests of rate limits")


async def test_a_thousand_requests_against_a_limit_of_a_hundred_let_a_hundred_through(shop: Shop) -> None:
    responses = await ask(shop, "/limited", "exact", 1000)
    assert responses.statuses == {200: 100, 429: 900}


async def test_without_a_limit_all_of_them_pass(shop: Shop) -> None:
    responses = await ask(shop, "/free", "free", 400)
    assert responses.statuses == {200: 400}
    assert len(responses.workers) > 1


async def test_each_worker_counts_by_itself_while_redis_is_away_and_together_when_it_is_back(shop: Shop) -> None:
    shop.redis.end()
    try:
        responses = await ask(shop, "/limited", "away", 1000)
        assert responses.statuses.keys() == {200, 429}
        assert responses.statuses[200] <= WORKERS * 100
        assert responses.statuses[200] > 100  # more than all of them together would allow
        assert len(responses.workers) > 1
        # A line for each worker, however many requests it had.
        wait_until(lambda: outages(shop) == len(responses.workers), 60, what="the lines of the workers")
    finally:
        shop.redis.restart()

    def are_back() -> bool:
        asyncio.run(ask(shop, "/limited", "probe", 100))
        return shop.service.output().count("Redis counts the requests of rate limits again") == outages(shop)

    await asyncio.to_thread(wait_until, are_back, 60, what="all workers' Redis")
    responses = await ask(shop, "/limited", "back", 400)
    assert responses.statuses == {200: 100, 429: 300}
