"""What a process has open: in order, pinged, closed in reverse, whatever happens in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType

import pytest

from sanicbase import Config, NotOpenError, ResourceError, get_blocking_redis, get_redis, lifespan
from sanicbase.testing import free_port


class ShopConfig(Config):
    SERVER_NAME = "shop"


class Recorded:
    """A resource that writes down what is done to it."""

    def __init__(self, name: str, events: list[str], fails: str = "") -> None:
        self.name = name
        self.events = events
        self.fails = fails

    async def __aenter__(self) -> Recorded:
        await self._do("open")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._do("close")

    async def ping(self) -> None:
        await self._do("ping")

    async def _do(self, what: str) -> None:
        self.events.append(f"{what} {self.name}")
        if self.fails == what:
            raise ResourceError(f"{self.name} fails to {what}.")
        if self.fails == f"hang in {what}":
            await asyncio.Event().wait()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> ShopConfig:
    monkeypatch.chdir(tmp_path)
    return ShopConfig(REDIS_URL=redis_url)


async def test_resources_open_in_order_and_close_in_reverse(config: ShopConfig) -> None:
    events: list[str] = []
    async with lifespan(config, Recorded("a", events), Recorded("b", events)) as resources:
        assert [resource.name for resource in resources] == ["database", "redis", "cache models", "a", "b"]
        events.append("use")
    assert events == ["open a", "ping a", "open b", "ping b", "use", "close b", "close a"]


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("open", ["open a", "ping a", "open b", "close a"]),
        ("ping", ["open a", "ping a", "open b", "ping b", "close b", "close a"]),
    ],
)
async def test_opened_resources_are_closed_when_a_later_one_fails(
    config: ShopConfig, fails: str, expected: list[str]
) -> None:
    events: list[str] = []
    with pytest.raises(ResourceError, match=f"b fails to {fails}"):
        async with lifespan(config, Recorded("a", events), Recorded("b", events, fails)):
            events.append("use")
    assert events == expected
    with pytest.raises(NotOpenError):
        get_redis()


@pytest.mark.parametrize("moment", ["open", "ping"])
async def test_opened_resources_are_closed_when_opening_is_cancelled(config: ShopConfig, moment: str) -> None:
    events: list[str] = []

    async def serve() -> None:
        async with lifespan(config, Recorded("a", events), Recorded("b", events, f"hang in {moment}")):
            events.append("use")

    task = asyncio.create_task(serve())
    while f"{moment} b" not in events:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events[-1] == "close a"
    assert "use" not in events


async def test_one_that_fails_to_close_does_not_keep_the_others_open(config: ShopConfig) -> None:
    events: list[str] = []
    with pytest.raises(ResourceError, match="b fails to close"):
        async with lifespan(config, Recorded("a", events), Recorded("b", events, "close")):
            pass
    assert events[-2:] == ["close b", "close a"]


async def test_without_a_check_nothing_has_to_answer(tmp_path: Path) -> None:
    events: list[str] = []
    away = f"127.0.0.1:{free_port()}"
    config = ShopConfig(DB_URL=f"postgres://u:p@{away}/shop", REDIS_URL=f"redis://{away}/0")
    async with lifespan(config, Recorded("a", events, "ping"), check=False) as resources:
        assert events == ["open a"]
        for resource in resources[:2]:
            with pytest.raises(ResourceError, match="does not answer"):
                await resource.ping()
    assert events == ["open a", "close a"]


async def test_without_a_check_a_resource_that_does_not_open_is_still_an_error(config: ShopConfig) -> None:
    with pytest.raises(ResourceError, match="b fails to open"):
        async with lifespan(config, Recorded("b", [], "open"), check=False):
            pass


async def test_a_service_can_be_opened_again_in_the_same_process(config: ShopConfig) -> None:
    for _ in range(3):
        async with lifespan(config):
            assert await get_redis().ping()
            assert await get_blocking_redis().ping()


async def test_one_service_at_a_time_is_open_in_a_process(config: ShopConfig) -> None:
    async with lifespan(config):
        with pytest.raises(ResourceError):
            async with lifespan(config):
                raise AssertionError("opened twice")
        assert await get_redis().ping()


def test_redis_outside_a_lifespan_says_what_to_do() -> None:
    with pytest.raises(NotOpenError, match="lifespan"):
        get_redis()
