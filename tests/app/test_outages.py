"""A worker that dies while Redis or the database is away is replaced by one that serves what it can."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.private_server import PrivateServer
from sanicbase.testing.servers import ServerMissing, private_postgres
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.test_supervision import SOON, workers
from tests.preloaded import PreloadedService
from tests.rc import kinds

SERVES = 30.0  # seconds: a new worker needs two on an idle machine; the server stays away until it serves

pytestmark = pytest.mark.xdist_group("shop")  # one process starts the service and its servers

FILES = {
    "shop/__init__.py": "",
    "shop/config/__init__.py": 'from sanicbase import Config\nclass ShopConfig(Config):\n    SERVER_NAME = "shop"\n',
    "shop/model_db/__init__.py": "",
    "shop/model_db/main.py": """
from sanicbase import DBModel
from tortoise import fields

class Item(DBModel):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20)
""",
    "shop/model_rc/__init__.py": "",
    "shop/model_rc/item.py": """
from sanicbase import RCModel
from shop.model_db.main import Item

class ItemRC(RCModel):
    id: int
    name: str

    class Meta:
        source = Item
        ttl = 60
""",
    "http_shop.py": """
from sanic import Blueprint
from sanicbase import APIView, create_app, serve
from shop.config import ShopConfig
from shop.model_rc.item import ItemRC

class ItemAPI(APIView, public=True):
    async def get(self, request, key: int) -> str:
        return (await ItemRC.get_or_fail(key)).name

blueprint = Blueprint("shop")
ItemAPI.attach(blueprint, "/items/<key:int>")
app = create_app(ShopConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
""",
}


class Shop(NamedTuple):
    """A service with two workers, and the servers that it uses."""

    service: ServiceProcess
    redis: PrivateServer
    database: PrivateServer

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.service.base_url + path, timeout=SOON, trust_env=False, verify=NO_CERTIFICATES)

    def health(self) -> tuple[int, str]:
        response = self.get("/readyz")
        return response.status_code, response.json()["status"]

    def kill_workers(self) -> None:
        """Kill all of them, and return when others serve."""
        before = workers(self.service)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(workers(self.service) - before) == len(before), SERVES, what="new workers")
        wait_until(self._answers, SERVES, what="an answer of a new worker")

    def _answers(self) -> bool:
        try:
            return (
                httpx.get(
                    f"{self.service.base_url}/livez", timeout=1, trust_env=False, verify=NO_CERTIFICATES
                ).status_code
                == 200
            )
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    for path, text in FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    try:
        with kinds.server() as redis, private_postgres(durable=True) as (database, url):
            ask_postgres(url, "CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)")
            ask_postgres(url, "INSERT INTO item VALUES (1, 'tea')")
            with serving(folder, url, kinds.url(redis)) as service:
                yield Shop(service, redis, database)
    except ServerMissing as exc:
        pytest.skip(str(exc))


@contextmanager
def serving(folder: Path, db_url: str, redis_url: str) -> Iterator[ServiceProcess]:
    env = {
        "SHOP_WORKERS": "2",
        "SHOP_DB_URL": db_url,
        "SHOP_REDIS_URL": redis_url,
        "SHOP_DB_STATEMENT_TIMEOUT": "1",
        "SHOP_DB_ACQUIRE_TIMEOUT": "1",
    }
    with PreloadedService(folder / "http_shop.py", cwd=folder, prefix="SHOP_", env=env) as service:
        wait_until(lambda: "shop_http is serving." in service.output(), 60, what="the last worker")
        yield service


@contextmanager
def ended(server: PrivateServer) -> Iterator[None]:
    """The server refuses connections."""
    server.end()
    try:
        yield
    finally:
        server.restart()


Away = Callable[[PrivateServer], AbstractContextManager[None]]
AWAY = [pytest.param(ended, id="refused"), pytest.param(PrivateServer.frozen, id="silent")]


@pytest.mark.parametrize("away", AWAY)
def test_a_worker_that_starts_without_redis_serves_from_the_database(shop: Shop, away: Away) -> None:
    wait_until(lambda: shop.health() == (200, "ready"), SOON, what="a service that is ready")
    with away(shop.redis):
        shop.kill_workers()
        assert shop.get("/items/1").json()["data"] == "tea"
        assert shop.health() == (200, "degraded")
    wait_until(lambda: shop.health() == (200, "ready"), SOON, what="Redis to be back")
    assert shop.get("/items/1").json()["data"] == "tea"


@pytest.mark.parametrize("away", AWAY)
def test_a_worker_that_starts_without_the_database_says_when_to_try_again(shop: Shop, away: Away) -> None:
    wait_until(lambda: shop.health() == (200, "ready"), SOON, what="a service that is ready")
    with away(shop.database):
        shop.redis.restart()  # which has the item in its cache
        shop.kill_workers()
        response = shop.get("/items/1")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert shop.health() == (503, "unready")
        assert shop.get("/livez").status_code == 200
    wait_until(lambda: shop.get("/items/1").status_code == 200, SOON, what="the database to be back")
    wait_until(lambda: shop.health() == (200, "ready"), SOON, what="a service that is ready")


def test_a_reload_during_an_outage_leaves_the_workers_that_serve(shop: Shop) -> None:
    wait_until(lambda: shop.health() == (200, "ready"), SOON, what="a service that is ready")
    before, refusals = workers(shop.service), shop.service.output().count("The old workers keep serving.")
    with ended(shop.redis):
        os.kill(shop.service.pid, signal.SIGHUP)
        wait_until(
            lambda: shop.service.output().count("The old workers keep serving.") > refusals, SOON, what="the refusal"
        )
        assert shop.get("/items/1").status_code == 200
    assert workers(shop.service) == before
