"""Apps served inside the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from sanic import Blueprint

from sanicbase import Envelope, ErrorMessage, create_app
from sanicbase.testing import client
from xi_test.config import XiTestConfig

Serve = Callable[[Blueprint], AbstractAsyncContextManager[httpx.AsyncClient]]


class ServeAs(Protocol):
    """Serve a blueprint with settings of its own, and an envelope and messages that a service would have written."""

    def __call__(
        self,
        blueprint: Blueprint,
        *,
        envelope: Envelope | None = None,
        messages: Mapping[str, ErrorMessage] | None = None,
        **settings: Any,
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Serve:
    """Serve a blueprint with everything a service opens, and yield a client of it."""
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, REQUEST_MAX_SIZE=10_000)
    return lambda blueprint: client(create_app(config, blueprint))


@pytest.fixture
def serve_as(redis_url: str, tmp_path: Path) -> ServeAs:
    """As `serve`; the log is in the test's own folder."""

    def serve(
        blueprint: Blueprint,
        *,
        envelope: Envelope | None = None,
        messages: Mapping[str, ErrorMessage] | None = None,
        **settings: Any,
    ) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        stores = {"DB_URL": f"sqlite://{tmp_path}/data.sqlite3", "REDIS_URL": redis_url, "LOG_DIR": tmp_path / "logs"}
        config = XiTestConfig(**{**stores, "REQUEST_MAX_SIZE": 1000, **settings})
        return client(create_app(config, blueprint, envelope=envelope, messages=messages))

    return serve
