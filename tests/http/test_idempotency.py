"""A request with an Idempotency-Key is executed once, over workers and over their deaths."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from sanicbase.testing import ServiceProcess, fresh_mysql_database, fresh_postgres_database
from sanicbase.testing.service import NO_CERTIFICATES
from tests.db.opening import Store, opened
from tests.http.orders import MODULE, POINTS
from tests.preloaded import PreloadedService

CLIENTS = 50
PATIENCE = 60.0  # seconds
LAUNCH = """
from sanicbase import serve
from tests.http.orders import orders_app

app = orders_app(WORKERS=4, DB_STATEMENT_TIMEOUT=20)

if __name__ == "__main__":
    serve(app)
"""
numbers = itertools.count(1)


class Orders(NamedTuple):
    """The service with four workers, and the folder that its requests write to."""

    service: ServiceProcess
    folder: Path

    def ordered(self, item: str) -> int:
        """How often that item was ordered."""
        counts: dict[str, int] = self.service.client.get("/orders").json()["data"]
        return counts.get(item, 0)

    def charged(self, item: str) -> int:
        """How often it was paid for."""
        return (self.folder / "charges").read_text().split("\n").count(item)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
        pytest.param("sqlite", marks=[pytest.mark.xdist_group("embedded"), pytest.mark.long]),
        pytest.param("aiomysql", marks=[pytest.mark.xdist_group("mysql"), pytest.mark.long]),
        pytest.param("asyncmy", marks=[pytest.mark.xdist_group("mysql"), pytest.mark.long]),
    ],
)
def orders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    folder = tmp_path_factory.mktemp("orders")
    database: AbstractContextManager[str]
    if request.param == "postgres":
        database = fresh_postgres_database(request.getfixturevalue("postgres_server_url"))
    elif request.param == "sqlite":
        database = nullcontext(f"sqlite://{folder}/orders.sqlite3")
    else:
        database = fresh_mysql_database(request.getfixturevalue("mysql_server_url"))
    with database as url:
        store = Store(request.param, url)
        asyncio.run(_create_tables(store))
        (folder / "http_orders.py").write_text(LAUNCH)
        (folder / "charges").touch()
        env = {"ORDERS_FOLDER": str(folder), "LIBRARY_DB_URL": url, "LIBRARY_DB_DRIVER": store.driver}
        with PreloadedService(folder / "http_orders.py", cwd=folder, prefix="LIBRARY_", env=env) as service:
            service.wait_ready()
            yield Orders(service, folder)


async def _create_tables(store: Store) -> None:
    async with opened(store, MODULE):
        pass


async def repeat(
    orders: Orders, path: str, headers: dict[str, str], *, item: str, clients: int = CLIENTS
) -> list[httpx.Response]:
    """The responses to so many equal requests at once, each of which its client repeats until it has an answer."""

    async def one(client: httpx.AsyncClient) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                response = await client.post(path, json={"item": item}, headers=headers)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if "retry-after" not in response.headers or time.monotonic() > deadline:
                    return response
            await asyncio.sleep(0.05)

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=orders.service.base_url, trust_env=False, verify=NO_CERTIFICATES, timeout=60, limits=limits
    ) as client:
        return await asyncio.gather(*(one(client) for _ in range(clients)))


def answers(responses: list[httpx.Response]) -> Counter[tuple[int, str, str]]:
    return Counter((item.status_code, item.headers.get("location", ""), item.text) for item in responses)


async def test_fifty_equal_requests_at_once_are_executed_once_and_get_the_same_response(orders: Orders) -> None:
    item = f"tea {next(numbers)}"
    responses = await repeat(orders, "/orders", {"X-User": "ann", "Idempotency-Key": item[4:]}, item=item)
    assert [status for status, _, _ in answers(responses)] == [201]
    assert sum(response.headers.get("idempotent-replayed") == "true" for response in responses) == CLIENTS - 1
    assert orders.ordered(item) == 1


async def test_when_the_first_of_them_fails_another_one_is_executed_and_the_rest_get_its_response(
    orders: Orders,
) -> None:
    item = f"flaky {next(numbers)}"
    responses = await repeat(orders, "/orders", {"X-User": "ann", "Idempotency-Key": item[6:]}, item=item)
    assert sorted((status, count) for (status, _, _), count in answers(responses).items()) == [(201, 49), (500, 1)]
    assert orders.ordered(item) == 1


async def test_without_a_key_each_of_them_is_executed(orders: Orders) -> None:
    item = f"tea {next(numbers)}"
    await repeat(orders, "/orders", {}, item=item, clients=5)
    assert orders.ordered(item) == 5


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_that_is_killed_at_any_point_changes_nothing(orders: Orders, point: str) -> None:
    number = next(numbers)
    item, headers = f"tea {number}", {"X-User": "ann", "Idempotency-Key": f"{number}", "X-Kill": f"{point} {number}"}
    responses = await repeat(orders, "/orders", headers, item=item, clients=20)
    assert (orders.folder / f"killed {point} {number}").exists()
    assert [status for status, _, _ in answers(responses)] == [201]
    assert orders.ordered(item) == 1


@pytest.mark.parametrize("point", ["committed", "answered"])
async def test_without_a_key_a_request_that_is_repeated_after_a_crash_is_executed_twice(
    orders: Orders, point: str
) -> None:
    number = next(numbers)
    item = f"tea {number}"
    await repeat(orders, "/orders", {"X-Kill": f"{point} {number}"}, item=item, clients=1)
    assert orders.ordered(item) == 2


async def test_without_a_transaction_fifty_equal_requests_are_executed_once(orders: Orders) -> None:
    item = f"tea {next(numbers)}"
    responses = await repeat(orders, "/charges", {"X-User": "ann", "Idempotency-Key": item[4:]}, item=item)
    assert [status for status, _, _ in answers(responses)] == [201]
    assert orders.charged(item) == 1


@pytest.mark.parametrize("point", ["begun", "written"])
async def test_without_a_transaction_a_retry_after_a_crash_is_refused_and_not_executed(
    orders: Orders, point: str
) -> None:
    number = next(numbers)
    item, headers = f"tea {number}", {"X-User": "ann", "Idempotency-Key": f"{number}", "X-Kill": f"{point} {number}"}
    with pytest.raises(httpx.TransportError):
        orders.service.client.post("/charges", json={"item": item}, headers=headers)
    refused = orders.service.client.post("/charges", json={"item": item}, headers=headers)
    assert refused.status_code == 409
    assert refused.json()["data"][0]["code"] in ("idempotency_key_in_use", "idempotency_outcome_unknown")
    assert orders.charged(item) == (1 if point == "written" else 0)
