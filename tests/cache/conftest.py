"""A library on SQLite and a real Redis, and a Redis that can be stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sanicbase.testing.plugin import _or_skip
from sanicbase.testing.private_server import PrivateServer
from tests.cache.opening import library
from tests.db.conftest import no_scope
from tests.rc import kinds
from tests.rc.conftest import cluster, opened, sentinels

__all__ = ["cluster", "db_url", "no_scope", "opened", "own_redis", "sentinels", "shelves"]


@pytest.fixture
def db_url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/library.sqlite3"


@pytest.fixture
async def shelves(db_url: str, redis_url: str) -> AsyncIterator[None]:
    """The library, open."""
    async with library(db_url, redis_url):
        yield


@pytest.fixture
def own_redis() -> Iterator[PrivateServer]:
    """A Redis of the test's own, to be frozen, emptied and killed."""
    with _or_skip(kinds.server()) as started:
        yield started
