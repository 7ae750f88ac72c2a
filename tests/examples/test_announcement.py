"""xi_test tells the subscribers of a new article, by a job that its transaction enqueues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tortoise import Tortoise

from sanicbase import lifespan
from sanicbase.rc import publish_to_room
from sanicbase.testing import capture_jobs
from sanicbase.ws import Rooms
from tests.jobs.running import working
from xi_test.config import XiTestConfig
from xi_test.config.consts import ARTICLES_ROOM
from xi_test.handler import article as articles
from xi_test.handler.announcement import announce_article
from xi_test.model_db.main import Outbox, User
from xi_test.model_rc.user import UserRC
from xi_test.script import scripts

rooms = Rooms()


@pytest.fixture
async def config(tmp_path: Path, redis_url: str) -> AsyncIterator[XiTestConfig]:
    config = XiTestConfig(
        DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, GRACEFUL_SHUTDOWN_TIMEOUT=0.2
    )
    async with lifespan(config, rooms, check=False):
        await Tortoise.generate_schemas()
        yield config


@pytest.fixture
async def author(config: XiTestConfig) -> UserRC:
    user = await User.create(name="ann", token_digest="0" * 64)
    entry = await UserRC.get(user.id)
    assert entry is not None
    return entry


async def test_subscribers_are_told_of_a_new_article_and_not_of_a_hidden_one(
    config: XiTestConfig, author: UserRC
) -> None:
    async with rooms.listen(ARTICLES_ROOM) as messages, working(config, announce_article):
        await articles.create_article(author, "draft", "Draft", "", published=False)
        new = await articles.create_article(author, "news", "News", "", published=True)
        async with asyncio.timeout(60):
            message = await anext(messages)
    assert json.loads(message) == {"id": new.id, "slug": "news", "title": "News"}
    assert await Outbox.all().count() == 0


async def test_nothing_is_told_of_an_article_that_is_deleted_meanwhile(config: XiTestConfig, author: UserRC) -> None:
    async with rooms.listen(ARTICLES_ROOM) as messages:
        with capture_jobs() as jobs:
            gone = await articles.create_article(author, "gone", "Gone", "", published=True)
            await articles.delete_article(author, gone.id)
            assert await jobs.run(announce_article) == 1
        await publish_to_room(ARTICLES_ROOM, "the next message")
        async with asyncio.timeout(60):
            assert await anext(messages) == "the next message"


def test_the_workers_of_the_service_run_the_job() -> None:
    assert announce_article in scripts


async def test_a_room_has_a_valid_name_and_a_message_of_64_kib_at_most(config: XiTestConfig) -> None:
    with pytest.raises(ValueError, match="'a b' is not a valid room name"):
        await publish_to_room("a b", "")
    with pytest.raises(ValueError, match="may have at most 65536 bytes"):
        await publish_to_room("a", b"." * 65537)
