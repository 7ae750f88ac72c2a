"""What a request that is not recorded costs in instructions of Python: a guard that times nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import opentelemetry
import pytest
from sanic import Blueprint, Request
from sanic.response import HTTPResponse, json

from sanicbase import create_app
from sanicbase.testing import client
from tests.http import test_instructions
from tests.http.test_instructions import counted
from tests.tracing.test_http import TracedConfig

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the limits are those of Python 3.11")

REQUESTS = 20
SHARE = 0.05  # of a request without tracing


async def instructions(redis_url: str, tmp_path: Path, **settings: Any) -> float:
    """Those of one request of a plain handler that returns a short JSON."""
    blueprint = Blueprint("routes")

    @blueprint.get("/answer")
    async def answer(request: Request[Any, Any]) -> HTTPResponse:
        return json({"answer": 42})

    config = TracedConfig(DB_URL="sqlite://:memory:", REDIS_URL=redis_url, LOG_DIR=tmp_path, **settings)
    async with client(create_app(config, blueprint)) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)

        async def ask(times: int) -> None:
            for _ in range(times):
                writer.write(b"GET /answer HTTP/1.1\r\nHost: shop.example\r\n\r\n")
                await reader.readuntil(b"42}")

        await ask(2)
        with counted() as counts:
            await ask(REQUESTS)
        writer.close()
    return counts[0] / REQUESTS


async def test_a_request_that_is_not_sampled_costs_at_most_a_twentieth_more(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [*map(str, opentelemetry.__path__), str(Path(sys.executable).parent)]
    monkeypatch.setattr(test_instructions, "COUNTED", (*test_instructions.COUNTED, *packages))
    off = await instructions(redis_url, tmp_path)
    on = await instructions(redis_url, tmp_path, TRACING_ENDPOINT="http://127.0.0.1:1", TRACING_RATIO=0.0)
    assert off < on <= off * (1 + SHARE)
