"""Apps served inside the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from sanic import Blueprint

from sanicbase import create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

Serve = Callable[[Blueprint], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Serve:
    """Serve a blueprint with everything a service opens, and yield a client of it."""
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, REQUEST_MAX_SIZE=1000)
    return lambda blueprint: client(create_app(config, blueprint))
