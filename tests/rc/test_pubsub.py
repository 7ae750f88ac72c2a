"""The feed: what is read, and when a gap is told."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from sanicbase import Message, MessagesLost, NotOpenError, ResourceError, get_redis, pubsub
from sanicbase.rc.pubsub import PubSub
from tests.rc.conftest import Opened
from tests.rc.test_kinds import KINDS, client


async def read(feed: PubSub, number: int) -> list[Message | MessagesLost]:
    async with asyncio.timeout(10):
        return [await anext(feed) for _ in range(number)]


@pytest.mark.parametrize("any_url", KINDS, indirect=True)
async def test_messages_are_read_in_the_order_of_publication(any_url: str, opened: Opened) -> None:
    async with opened(any_url), pubsub("a", "b") as feed:
        for number in range(50):
            await client(any_url).execute_command("PUBLISH", "ab"[number % 2], number)
        expected = [Message("ab"[number % 2], b"%d" % number) for number in range(50)]
        messages = await read(feed, 50)
        if "+cluster" in any_url:  # where each was published through another node
            messages.sort(key=expected.index)  # type: ignore[arg-type]
        assert messages == expected


async def test_a_lost_connection_is_a_gap(redis_url: str, opened: Opened) -> None:
    async with opened(redis_url), pubsub("a") as feed:
        (mine,) = await get_redis().client_list(_type="pubsub")
        await get_redis().client_kill_filter(_id=mine["id"])
        assert await read(feed, 1) == [MessagesLost()]
        await get_redis().publish("a", "again")
        assert await read(feed, 1) == [Message("a", b"again")]


async def test_unread_messages_are_dropped_and_reported_as_lost(redis_url: str, opened: Opened) -> None:
    async with opened(redis_url), pubsub("a", "end", max_unread=3) as feed, Redis.from_url(redis_url) as redis:
        for number in range(7):
            await redis.publish("a", number)
        await asyncio.wait_for(feed.subscribe("b"), 5)  # its answer comes behind the messages
        assert await read(feed, 3) == [MessagesLost(), Message("a", b"5"), Message("a", b"6")]


async def test_a_feed_that_is_closed_ends_its_reader(redis_url: str, opened: Opened) -> None:
    async with opened(redis_url):
        async with pubsub("a") as feed:
            reading = asyncio.ensure_future(anext(feed))
            feed.unsubscribe("a")
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await reading


async def test_channels_change_while_it_is_read(redis_url: str, opened: Opened) -> None:
    async with opened(redis_url), pubsub() as feed:
        await feed.subscribe("late")
        await get_redis().publish("late", "1")
        assert await read(feed, 1) == [Message("late", b"1")]


async def test_a_server_that_is_away_fails_the_entry(
    redis_url: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanicbase.rc.subscriber.CONFIRM_TIMEOUT", 0.2)
    with pytest.raises(NotOpenError):
        pubsub("a")
    async with Redis.from_url("redis://127.0.0.1:1") as away:
        with pytest.raises(ResourceError, match="did not confirm"):
            async with PubSub(away, ("a",), 1):
                pass
