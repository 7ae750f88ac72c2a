"""The brake on failed sign-ins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from sanic import Blueprint
from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import APIView, SignInBrake
from tests.http.conftest import ServeAs

brake = SignInBrake(by_account="3 per 15 minutes", by_address="6 per 15 minutes")


class TokenAPI(APIView, public=True):
    async def post(self, request: Request, body: dict[str, str]) -> str:
        account = body["account"]
        await brake.check(account, request)
        if body["password"] != "right":
            await brake.failed(account, request)
            raise Unauthorized("The account or the password is wrong.")
        await brake.succeeded(account, request)
        return "token"


@pytest.fixture
async def http(serve_as: ServeAs) -> AsyncIterator[httpx.AsyncClient]:
    blueprint = Blueprint("token")
    TokenAPI.attach(blueprint, "/token")
    async with serve_as(blueprint, RATE_LIMIT_TIMEOUT=5) as client:
        yield client


async def sign_in(http: httpx.AsyncClient, account: str, password: str = "wrong") -> int:
    return (await http.post("/token", json={"account": account, "password": password})).status_code


async def test_an_account_is_closed_after_its_failures_even_for_the_right_password(http: httpx.AsyncClient) -> None:
    assert [await sign_in(http, "ann") for _ in range(3)] == [401] * 3
    assert await sign_in(http, "ann", "right") == 429
    assert await sign_in(http, " Ann ", "right") == 429  # another spelling is the same account
    assert await sign_in(http, "bob", "right") == 200


async def test_guesses_at_many_accounts_are_counted_by_address(http: httpx.AsyncClient) -> None:
    assert [await sign_in(http, f"user{number}") for number in range(7)] == [401] * 6 + [429]


async def test_a_success_forgets_the_failures_and_is_not_counted(http: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert [await sign_in(http, "ann") for _ in range(2)] == [401] * 2
        assert await sign_in(http, "ann", "right") == 200
    assert [await sign_in(http, "bob", "right") for _ in range(5)] == [200] * 5


async def test_guesses_at_the_same_moment_are_limited_as_well(http: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(sign_in(http, "ann") for _ in range(12)))
    assert responses.count(401) == 3
