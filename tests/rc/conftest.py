"""Every kind of Redis, once for the tests of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from sanicbase import Config, lifespan
from sanicbase.testing.plugin import _or_skip
from tests.rc import kinds


class ShopConfig(Config):
    SERVER_NAME = "shop"


Opened = Callable[..., AbstractAsyncContextManager[object]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """A function that opens a service with that Redis."""
    monkeypatch.chdir(tmp_path)

    def open_(url: str, **settings: Any) -> AbstractAsyncContextManager[object]:
        return lifespan(ShopConfig(**{"REDIS_URL": url, "CONNECT_TIMEOUT": 5, "REDIS_POOL_SIZE": 5, **settings}))

    return open_


@pytest.fixture(scope="session")
def unix_url() -> Iterator[str]:
    with _or_skip(kinds.unix_redis()) as url:
        yield url


@pytest.fixture(scope="session")
def tls_url() -> Iterator[str]:
    with _or_skip(kinds.tls_redis()) as url:
        yield url


@pytest.fixture(scope="session")
def tls_sentinel_url() -> Iterator[str]:
    with _or_skip(kinds.tls_sentinel()) as url:
        yield url


@pytest.fixture(scope="session")
def tls_cluster_url() -> Iterator[str]:
    with _or_skip(kinds.tls_cluster()) as url:
        yield url


@pytest.fixture(scope="session")
def sentinels() -> Iterator[kinds.Sentinels]:
    with _or_skip(kinds.sentinels()) as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster() -> Iterator[kinds.Cluster]:
    with _or_skip(kinds.cluster()) as servers:
        yield servers


@pytest.fixture
def any_url(request: pytest.FixtureRequest) -> str:
    """The URL of the kind by which the test is parametrized."""
    if request.param in ("sentinels", "cluster"):
        url: str = request.getfixturevalue(request.param).url
        return url
    named: str = request.getfixturevalue(f"{request.param}_url")
    return named
