"""A sign-in that failed leaves one line, without what was sent."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import APIView, ErrorCode, bearer_token
from tests.http.conftest import Serve, ServeAs

SECRET = "zX9-ge.heim7"


class SignInError(ErrorCode):
    WRONG = 91951, 401, "The name or the password is wrong.", "用户名或密码不正确。"


class Credentials(BaseModel):
    name: str
    password: str


class PrivateAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> object:
        if "x-api-key" not in request.headers:
            raise Unauthorized(f"No user has {bearer_token(request)}.", scheme="Bearer")
        raise Unauthorized("No such key.")

    async def get(self, request: Request, user: str) -> None: ...


class LoginAPI(APIView, public=True):
    async def post(self, request: Request, body: Credentials) -> None:
        raise SignInError.WRONG()


@pytest.fixture
def blueprint() -> Blueprint:
    blueprint = Blueprint("private")
    PrivateAPI.attach(blueprint, "/private")
    LoginAPI.attach(blueprint, "/login")
    return blueprint


async def test_a_failed_authentication_is_logged(
    serve: Serve, blueprint: Blueprint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.http")
    async with serve(blueprint) as client:
        for headers in ({"Authorization": f"Bearer {SECRET}"}, {"X-Api-Key": SECRET}):
            assert (await client.get("/private", headers=headers)).status_code == 401
        assert (await client.post("/login", json={"name": "ann", "password": SECRET})).status_code == 401
    lines = [record.getMessage() for record in caplog.records if record.name == "sanicbase.http"]
    assert [line.partition(". ")[0] for line in lines] == [
        "GET /private returned 401, client 127.0.0.1",
        "GET /private returned 401, client 127.0.0.1",
        "POST /login returned 401, client 127.0.0.1",
    ]
    assert lines[2].endswith(". The name or the password is wrong.")


async def test_the_log_has_the_whole_reason(serve_as: ServeAs, tmp_path: Path) -> None:
    blueprint = Blueprint("private")
    PrivateAPI.attach(blueprint, "/private")
    async with serve_as(blueprint, LOG_DIR=tmp_path / "logs") as client:
        assert (await client.get("/private", headers={"Authorization": "Bearer"})).status_code == 401
    assert "The header Authorization must have one scheme" in (tmp_path / "logs/xi_test/run.log").read_text("utf-8")


async def test_a_request_without_credentials_is_not_logged(
    serve: Serve, blueprint: Blueprint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.http")
    async with serve(blueprint) as client:
        assert (await client.get("/private")).status_code == 401
    assert [record for record in caplog.records if record.name == "sanicbase.http"] == []
