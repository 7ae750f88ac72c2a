"""A program in conduit's folder: how many SQL statements a request takes. Prints a number for each, as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tortoise import Tortoise

from conduit.config import config
from conduit.contract import MESSAGES, ConduitEnvelope
from conduit.handler.token import token_for
from conduit.model_db.main import Article, Comment, Favorite, Follow, Tag, Tagging, User
from conduit.model_rc.article import ArticleRC, FavoriteCountRC, TagListRC
from conduit.model_rc.user import UserRC
from conduit.url_main import http
from sanicbase import create_app, lifespan
from sanicbase.testing import client

PATHS = (
    "/api/articles?limit=100",
    "/api/articles/feed?limit=100",
    "/api/articles/title-1/comments",
    "/api/articles/title-1",
)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that Tortoise sends meanwhile."""
    sent: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: sent.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tortoise.db_client")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield sent
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.WARNING)


async def fill(size: int) -> None:
    """That many authors with an article each, all liked, tagged and commented on by all; the first follows the rest."""
    for model in (Article, Tag, User):
        await model.all().delete()
    await User.bulk_create(User(id=n, username=f"u{n}", email=f"u{n}@x", password_hash="") for n in range(1, size + 1))
    fields = {"description": "d", "body": "b"}
    numbers = range(1, size + 1)
    await Article.bulk_create(Article(id=n, slug=f"title-{n}", title="t", author_id=n, **fields) for n in numbers)
    await Tag.bulk_create(Tag(id=n, name=f"tag{n}") for n in range(1, 4))
    await Tagging.bulk_create(Tagging(article_id=n, tag_id=tag, place=tag) for n in numbers for tag in range(1, 4))
    await Favorite.bulk_create(Favorite(user_id=m, article_id=n) for n in numbers for m in numbers)
    await Comment.bulk_create(Comment(article_id=n, author_id=m, body="c") for n in numbers for m in numbers)
    await Follow.bulk_create(Follow(follower_id=1, followed_id=n) for n in numbers if n > 1)


async def cost(service: httpx.AsyncClient, path: str) -> int:
    """The statements of a request."""
    with counted() as sent:
        answer = await service.get(path)
    assert answer.status_code == 200, answer.text
    return len(sent)


async def costs(service: httpx.AsyncClient, path: str) -> dict[str, int]:
    """The statements of a request with nothing in the cache, and of the same one when the cache has all of it.

    A cache that was begun just now stores nothing for a second, so the same request is sent until that is over.
    """
    for cached in (UserRC, ArticleRC, TagListRC, FavoriteCountRC):
        await cached.invalidate_all()
    cold = await cost(service, path)
    async with asyncio.timeout(20):
        while (warm := await cost(service, path)) == cold:
            await asyncio.sleep(0.05)
    return {"cold": cold, "warm": min(warm, await cost(service, path))}


async def main() -> dict[str, dict[str, dict[str, int]]]:
    """The costs of each path with three authors, and with thirty."""
    async with lifespan(config):
        await Tortoise.generate_schemas()
    figures: dict[str, dict[str, dict[str, int]]] = {}
    async with client(create_app(config, http, envelope=ConduitEnvelope(), messages=MESSAGES)) as service:
        service.headers["Authorization"] = f"Token {token_for(1)}"
        for size in (3, 30):
            await fill(size)
            figures[str(size)] = {path: await costs(service, path) for path in PATHS}
    return figures


sys.stdout.write(json.dumps(asyncio.run(main())))
