"""Events in moving windows: exact in Redis, and in the memory of the process while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import pytest

from sanicbase import lifespan
from sanicbase.config import Config
from sanicbase.rc import get_redis, moving_window
from sanicbase.rc.moving_window import LocalWindows, MovingWindows, Rate, WindowCount
from sanicbase.testing import ServerMissing
from sanicbase.testing.private_server import PrivateServer
from tests.rc import kinds

RATE = Rate(3, 60)


class ShopConfig(Config):
    SERVER_NAME = "shop"
    DB_URL = "sqlite://:memory:"
    MODEL_LIST = []
    MODEL_EXTRA = []
    RATE_LIMIT_TIMEOUT = 5.0  # a busy machine is no outage


@pytest.fixture(scope="module")
def own_redis() -> Iterator[PrivateServer]:
    try:
        with kinds.server() as server:
            yield server
    except ServerMissing as exc:
        pytest.skip(str(exc))


@contextmanager
def ended(server: PrivateServer) -> Iterator[None]:
    server.end()
    try:
        yield
    finally:
        server.restart()


def outcome(count: WindowCount | None) -> tuple[bool, int]:
    """A count without its time."""
    assert count is not None
    assert 0 <= count.reset <= 60
    return count.allowed, count.remaining


def away(server: PrivateServer, how: str) -> AbstractContextManager[None]:
    return ended(server) if how == "refuses" else server.frozen()


async def test_exactly_the_amount_is_allowed_however_many_ask_at_once(redis_url: str) -> None:
    config = ShopConfig(REDIS_URL=redis_url)
    async with lifespan(config):
        windows = MovingWindows(lambda: config)
        counts = await asyncio.gather(*(windows.count("a", Rate(100, 60)) for _ in range(400)))
        assert sum(count is not None and count.allowed for count in counts) == 100


async def test_a_window_moves(redis_url: str) -> None:
    config = ShopConfig(REDIS_URL=redis_url)
    async with lifespan(config):
        windows = MovingWindows(lambda: config)
        rate = Rate(1, 1)
        first = await windows.count("a", rate)
        refused = await windows.count("a", rate)
        assert (outcome(first), outcome(refused)) == ((True, 0), (False, 0))
        started = time.monotonic()
        while (count := await windows.count("a", rate)) is not None and not count.allowed:
            await asyncio.sleep(count.reset)
            assert time.monotonic() - started < 30


async def test_keys_are_the_services_own_bounded_and_never_the_same_for_two_names(redis_url: str) -> None:
    config = ShopConfig(REDIS_URL=redis_url)
    async with lifespan(config):
        windows = MovingWindows(lambda: config)
        for key in ("plain", "x" * 5000, "x" * 5001, "a b", "a\nb", "~half \ud800"):
            assert outcome(await windows.count(key, RATE)) == (True, 2)
        names = [bytes(name).decode() for name in await get_redis().keys("*limit*") if isinstance(name, bytes)]
        assert len(names) == 6
        assert all(name.startswith("shop:limit:") and len(name) < 130 for name in names)
        assert all([0 < await get_redis().ttl(name) <= 60 for name in names])


async def test_events_can_be_taken_back(redis_url: str) -> None:
    config = ShopConfig(REDIS_URL=redis_url)
    async with lifespan(config):
        windows = MovingWindows(lambda: config)
        for _ in range(3):
            await windows.count("a", RATE)
        await windows.forget("a", events=1)
        assert outcome(await windows.count("a", RATE, cost=0)) == (True, 1)
        await windows.forget("a")
        assert await windows.count("a", RATE, cost=0) == WindowCount(True, 3, 0.0)


@pytest.mark.parametrize("how", ["refuses", "hangs"])
@pytest.mark.parametrize("setting", ["local", "allow"])
async def test_redis_away_behaves_as_set_and_waits_once(
    own_redis: PrivateServer,
    how: str,
    setting: Literal["local", "allow"],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = ShopConfig(REDIS_URL=kinds.url(own_redis), RATE_LIMIT_WITHOUT_REDIS=setting, RATE_LIMIT_TIMEOUT=1)
    async with lifespan(config):
        windows = MovingWindows(lambda: config)
        tries: list[str] = []
        run_script = windows._run_script

        async def counted(*arguments: Any) -> Any:
            tries.append("try")
            return await run_script(*arguments)

        monkeypatch.setattr(windows, "_run_script", counted)
        monkeypatch.setattr(moving_window, "RETRY", 3600.0)
        key = f"{how} {setting}"
        assert (await windows.count(key, RATE)) is not None
        with away(own_redis, how), caplog.at_level(logging.WARNING, "sanicbase.limits"):
            counts = [await windows.count(key, RATE) for _ in range(5)]
        assert len(tries) == 2  # one before, and one that found out
        if setting == "allow":
            assert counts == [None] * 5
        else:
            assert [count is not None and count.allowed for count in counts] == [True, True, True, False, False]
        assert len(caplog.records) == 1
        monkeypatch.setattr(windows._outage, "_next_try", 0.0)
        with caplog.at_level(logging.WARNING, "sanicbase.limits"):
            deadline = time.monotonic() + 30
            while windows._outage._since and time.monotonic() < deadline:
                monkeypatch.setattr(windows._outage, "_next_try", 0.0)
                await windows.count("probe", RATE)
        assert [record.getMessage() for record in caplog.records][-1].startswith("Redis counts the requests")


def test_the_memory_of_local_windows_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_window, "MAX_LOCAL_KEYS", 10)
    monkeypatch.setattr(moving_window, "MAX_LOCAL_EVENTS", 50)
    windows = LocalWindows()
    for number in range(1000):
        windows.count(str(number), RATE, 1)
    assert len(windows._events) == len(windows) == 10
    for _ in range(100):
        windows.count("busy", Rate(10_000, 60), 1)
    assert len(windows) <= 50
