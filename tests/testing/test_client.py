"""An app in the test's own process has what it has in a worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sanic import Blueprint, Request, text
from sanic.response import HTTPResponse

from sanicbase import create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig


@pytest.mark.parametrize("debug", [False, True])
async def test_tasks_run_and_no_answer_has_an_empty_alt_svc(redis_url: str, tmp_path: Path, debug: bool) -> None:
    blueprint = Blueprint("tasks")
    ran, ended = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        ran.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @blueprint.get("/task")
    async def task(request: Request) -> HTTPResponse:
        request.app.add_task(job(), name="job")
        return text(str(request.app.loop is asyncio.get_running_loop()))

    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, DEBUG=debug)
    async with client(create_app(config, blueprint)) as http:
        answer = await http.get("/task")
        await asyncio.wait_for(ran.wait(), 5)
    assert answer.text == "True"
    assert "alt-svc" not in answer.headers
    assert ended.is_set()


async def test_one_app_after_another_is_served(redis_url: str, tmp_path: Path) -> None:
    blueprint = Blueprint("plain")

    @blueprint.get("/plain")
    async def plain(request: Request) -> HTTPResponse:
        return text("as it is")

    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)
    for _ in range(3):
        async with client(create_app(config, blueprint)) as http:
            assert (await http.get("/plain")).status_code == 200
