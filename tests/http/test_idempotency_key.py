"""What an Idempotency-Key may be, whose it is, how long it is kept, and what a view must be like."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.request import Request
from tortoise import timezone

from sanicbase import (
    APIView,
    FileUpload,
    ResourceError,
    SanicBaseError,
    Upload,
    create_app,
    endpoint,
    idempotent,
    lifespan,
    transaction,
)
from sanicbase.http.idempotency import IdempotencyKeys
from sanicbase.http.idempotency import keys as keys_module
from sanicbase.http.idempotency.request_key import _digest
from sanicbase.http.openapi import document, info_of
from sanicbase.testing import client
from tests.db.opening import LibraryConfig, Store, opened
from tests.http.orders import MODULE, Order, OrderKey, orders_app

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture
async def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the tables of the service."""
    monkeypatch.setenv("ORDERS_FOLDER", str(tmp_path))
    url = f"sqlite://{tmp_path}/orders.sqlite3"
    async with opened(Store("sqlite", url), MODULE):
        pass
    return url


@pytest.fixture
async def orders(url: str, redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(orders_app(DB_URL=url, REDIS_URL=redis_url, RESPONSE_TIMEOUT=1)) as session:
        yield session


async def order(
    orders: httpx.AsyncClient, item: str, key: str = KEY, *, path: str = "/orders", user: str = "ann"
) -> httpx.Response:
    headers = {"Idempotency-Key": key, **({"X-User": user} if user else {})}
    return await orders.post(path, json={"item": item}, headers=headers)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["data"][0]["code"]


async def test_the_same_key_gets_the_same_response_and_says_that_it_is_a_repetition(orders: httpx.AsyncClient) -> None:
    first, second = await order(orders, "tea"), await order(orders, "tea")
    assert (first.status_code, first.content) == (second.status_code, second.content)
    for header in ("location", "content-type"):
        assert first.headers[header] == second.headers[header]
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert await Order.all().count() == 1


async def test_a_key_with_and_without_quotes_is_the_same_key(orders: httpx.AsyncClient) -> None:
    await order(orders, "tea", f'"{KEY}"')
    await order(orders, "tea", KEY)
    assert await Order.all().count() == 1


async def test_another_request_with_the_same_key_is_422(orders: httpx.AsyncClient) -> None:
    await order(orders, "tea")
    assert code(await order(orders, "coffee")) == (422, "idempotency_key_reused")
    assert code(await order(orders, "tea", path="/charges")) == (422, "idempotency_key_reused")
    assert code(await order(orders, "tea", path="/orders?page=2")) == (422, "idempotency_key_reused")


async def test_a_user_never_gets_the_response_of_another(orders: httpx.AsyncClient) -> None:
    responses = [await order(orders, "tea", user=user) for user in ("ann", "bob", "", "ann", "bob", "")]
    ids = [response.json()["data"]["id"] for response in responses]
    assert ids[:3] == ids[3:]
    assert len({*ids}) == 3


@pytest.mark.parametrize(
    "key", ["", '""', '"', '"a', "a b", "a,b", "a;b=1", '"\\x"', "ä", "a" * 256, '"' + "a" * 256 + '"', "a" * 6000]
)
async def test_a_malformed_key_is_400(orders: httpx.AsyncClient, key: str) -> None:
    response = await orders.post(
        "/orders", json={"item": "tea"}, headers=[(b"x-user", b"ann"), (b"idempotency-key", key.encode())]
    )
    assert code(response) == (400, "idempotency_key_invalid")
    assert await Order.all().count() == 0


async def test_a_key_of_100_kilobytes_is_refused(orders: httpx.AsyncClient) -> None:
    assert (await order(orders, "tea", "a" * 100_000)).status_code == 431


async def test_two_keys_are_400(orders: httpx.AsyncClient) -> None:
    headers = [("x-user", "ann"), ("idempotency-key", "a"), ("idempotency-key", "a")]
    assert code(await orders.post("/orders", json={"item": "tea"}, headers=headers)) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize("key", ["a", "a" * 255, r'"\"\\ b"', '"' + r"\"" * 255 + '"'])
async def test_a_key_has_up_to_255_characters(orders: httpx.AsyncClient, key: str) -> None:
    assert (await order(orders, "tea", key)).status_code == 201


async def test_the_key_of_an_anonymous_client_cannot_be_guessed(orders: httpx.AsyncClient) -> None:
    assert code(await order(orders, "tea", "a" * 15, user="")) == (400, "idempotency_key_too_short")


async def test_a_missing_key_is_400_where_it_is_required(orders: httpx.AsyncClient) -> None:
    assert code(await orders.patch("/orders", json={"item": "tea"})) == (400, "idempotency_key_missing")


async def test_an_exception_undoes_everything_and_leaves_the_key_free(orders: httpx.AsyncClient) -> None:
    assert (await order(orders, "bug")).status_code == 500
    assert (await order(orders, "sold-out", "other")).status_code == 409
    assert (await Order.all().count(), await OrderKey.all().count()) == (0, 0)
    assert (await order(orders, "tea")).status_code == 201


async def test_a_response_with_5xx_undoes_everything_and_leaves_the_key_free(orders: httpx.AsyncClient) -> None:
    async def patch() -> httpx.Response:
        return await orders.patch("/orders", json={"item": "tea"}, headers={"Idempotency-Key": KEY})

    assert (await patch()).status_code == 503
    assert await Order.all().count() == 0
    first, second = await patch(), await patch()
    assert (first.text, second.text) == ("as it is", "as it is")
    assert (second.headers["x-kind"], second.headers["content-type"]) == ("raw", "text/plain")
    assert ("set-cookie" in first.headers, "set-cookie" in second.headers) == (True, False)
    assert await Order.all().count() == 1


async def test_an_invalid_body_does_not_use_the_key_up(orders: httpx.AsyncClient) -> None:
    assert (await orders.post("/orders", json={}, headers={"Idempotency-Key": KEY, "X-User": "ann"})).status_code == 422
    assert (await order(orders, "tea")).status_code == 201


async def test_outside_of_a_transaction_a_refusal_leaves_the_key_free_and_a_bug_does_not(
    orders: httpx.AsyncClient,
) -> None:
    assert (await order(orders, "sold-out", path="/charges")).status_code == 409
    assert (await order(orders, "sold-out", path="/charges")).status_code == 201
    assert (await order(orders, "bug", "other", path="/charges")).status_code == 500
    assert code(await order(orders, "bug", "other", path="/charges")) == (409, "idempotency_key_in_use")


async def test_outside_of_a_transaction_an_interrupted_request_is_unknown_once_it_must_have_ended(
    orders: httpx.AsyncClient,
) -> None:
    assert (await order(orders, "slow", path="/charges")).status_code == 503
    busy = await order(orders, "slow", path="/charges")
    assert (*code(busy), busy.headers["retry-after"]) == (409, "idempotency_key_in_use", "1")
    await OrderKey.all().update(created_at=timezone.now() - timedelta(seconds=1 + keys_module.LATE))
    unknown = await order(orders, "slow", path="/charges")
    assert (*code(unknown), "retry-after" in unknown.headers) == (409, "idempotency_outcome_unknown", False)


async def test_an_expired_key_is_free_and_others_are_not(orders: httpx.AsyncClient) -> None:
    await order(orders, "tea")
    await OrderKey.all().update(expires_at=timezone.now())
    await order(orders, "tea")
    await order(orders, "tea")
    assert await Order.all().count() == 2


async def test_expired_keys_are_deleted_in_steps(orders: httpx.AsyncClient) -> None:
    past, future = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    rows = [OrderKey(id=f"{n}", fingerprint="", expires_at=past if n < 5 else future) for n in range(7)]
    await OrderKey.bulk_create(rows)
    assert [await OrderKey.purge(3), await OrderKey.purge(3), await OrderKey.purge(3)] == [3, 2, 0]
    assert await OrderKey.all().count() == 2


async def test_the_resource_deletes_expired_keys_by_itself(
    url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "PURGE_INTERVAL", 0.01)
    monkeypatch.setattr(keys_module, "PURGE_BATCH", 2)
    config = LibraryConfig(DB_URL=url, REDIS_URL=redis_url, MODULES=[MODULE])
    async with lifespan(config, IdempotencyKeys(["OrdersAPI.post"])):
        past = timezone.now() - timedelta(hours=1)
        await OrderKey.bulk_create([OrderKey(id=f"{n}", fingerprint="", expires_at=past) for n in range(5)])
        async with asyncio.timeout(30):
            while await OrderKey.all().count():
                await asyncio.sleep(0.01)
        assert await OrderKey.all().count() == 0


class Nameless(BaseModel):
    name: str


class Item(BaseModel):
    id: int


def test_users_without_identity_are_refused_at_startup() -> None:
    async def admit(request: Request) -> Nameless | None:
        return None

    with pytest.raises(SanicBaseError, match="give Nameless, which admit returns, an attribute `id`"):
        serve_view(admit)


@pytest.mark.parametrize("kind", [str, int, Item, object])
def test_users_with_an_id_and_users_that_are_one_are_accepted(kind: type) -> None:
    async def admit(request: Request) -> object:
        return None

    admit.__annotations__["return"] = kind
    assert "buy" in serve_view(admit)


def serve_view(admit: Callable[[Request], Any]) -> set[str]:
    """The paths of an app with a view behind that `admit`."""

    @endpoint(admit=admit)
    @idempotent
    async def buy(request: Request) -> Item:
        return Item(id=1)

    blueprint = Blueprint("buy")
    buy.attach(blueprint, "/buy", methods=("POST",))
    return {route.path for route in create_app(LibraryConfig(), blueprint).router.routes}


def test_a_method_that_is_idempotent_by_itself_is_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"PutAPI\.put is no POST or PATCH"):

        class PutAPI(APIView, public=True):
            @idempotent
            async def put(self, request: Request) -> Item:
                return Item(id=1)


def test_a_stream_is_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"StreamAPI\.post is idempotent, and a stream or a file cannot be kept"):

        class StreamAPI(APIView, public=True):
            @idempotent
            async def post(self, request: Request) -> AsyncIterator[bytes]:
                yield b""


def test_uploads_are_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"UploadAPI\.post is idempotent, and uploads cannot be compared"):

        class UploadAPI(APIView, public=True):
            @idempotent
            async def post(
                self, request: Request, photo: Annotated[FileUpload, Upload(max_size=1, types=("image/png",))]
            ) -> Item:
                return Item(id=1)


async def test_a_start_without_the_table_names_it_and_what_to_do(tmp_path: Path, redis_url: str) -> None:
    config = LibraryConfig(DB_URL=f"sqlite://{tmp_path}/empty.sqlite3", REDIS_URL=redis_url, MODULES=[MODULE])
    with pytest.raises(ResourceError, match=r"The table order_key of OrderKey cannot be read: .*sanicGuider migrate"):
        async with lifespan(config, IdempotencyKeys(["OrdersAPI.post"])):
            pass


async def test_two_models_of_idempotency_records_are_refused_at_the_start(url: str, redis_url: str) -> None:
    modules = [MODULE, "tests.http.other_keys"]
    with pytest.raises(ResourceError, match="OrderKey and OtherKey are both IdempotencyRecords"):
        async with lifespan(
            LibraryConfig(DB_URL=url, REDIS_URL=redis_url, MODULES=modules), IdempotencyKeys(["OrdersAPI.post"])
        ):
            pass


async def test_a_start_without_the_model_is_refused(tmp_path: Path, redis_url: str) -> None:
    config = LibraryConfig(DB_URL=f"sqlite://{tmp_path}/empty.sqlite3", REDIS_URL=redis_url)
    with pytest.raises(ResourceError, match=r"The keys of OrdersAPI\.post have no table: write `class IdempotencyKey"):
        async with lifespan(config, IdempotencyKeys(["OrdersAPI.post"])):
            pass


def test_the_document_has_the_header() -> None:
    app = orders_app()
    path = document(app, info_of(app.ctx.config))["paths"]["/orders"]
    headers = {
        method: {parameter["name"]: parameter["required"] for parameter in path[method].get("parameters", ())}
        for method in ("get", "post", "patch")
    }
    assert headers == {"get": {}, "post": {"Idempotency-Key": False}, "patch": {"Idempotency-Key": True}}
    assert {"400", "409", "422"} <= path["post"]["responses"].keys()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
        pytest.param("aiomysql", marks=[pytest.mark.xdist_group("mysql"), pytest.mark.long]),
        pytest.param("asyncmy", marks=[pytest.mark.xdist_group("mysql"), pytest.mark.long]),
    ],
)
async def test_a_request_that_waits_too_long_for_the_first_one_is_409(
    kind: str, request: pytest.FixtureRequest, redis_url: str
) -> None:
    store = Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
    async with opened(store, MODULE):
        pass
    app = orders_app(DB_URL=store.url, DB_DRIVER=store.driver, REDIS_URL=redis_url, DB_STATEMENT_TIMEOUT=1)
    async with client(app) as session:
        async with transaction():  # what another worker has open
            await OrderKey.claim(_digest(False, "ann", KEY), "", 60)
            busy = await asyncio.create_task(order(session, "tea"), context=contextvars.Context())
            assert (*code(busy), busy.headers["retry-after"]) == (409, "idempotency_key_in_use", "1")
        assert code(await order(session, "tea")) == (422, "idempotency_key_reused")
