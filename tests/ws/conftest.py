"""WebSocket apps served inside the test's own process, and the example service as processes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sanic import Blueprint

from sanicbase import Resource, create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

ROOT = Path(__file__).parents[2]

Serve = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Serve:
    """Serve a blueprint with everything a service opens, and yield the port: `serve(blueprint, SETTING=value)`."""

    @asynccontextmanager
    async def served(blueprint: Blueprint, *resources: Resource, **settings: Any) -> AsyncIterator[int]:
        stores = {"DB_URL": f"sqlite://{tmp_path}/data.sqlite3", "REDIS_URL": redis_url}
        config = XiTestConfig(**{**stores, "WEBSOCKET_MAX_SIZE": 100_000, **settings})
        async with client(create_app(config, blueprint, resources=resources)) as http:
            assert http.base_url.port is not None
            yield http.base_url.port

    return served


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example service in a folder of its own, for it keeps its data beside its launch files."""
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("*_xi_test.py"):
        shutil.copy(file, tmp_path)
    return tmp_path
