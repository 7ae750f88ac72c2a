"""RCModel: read through, kept for its ttl, forgotten on demand. The models are the example service's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tortoise import Tortoise

from sanicbase import NotOpenError, RCModel, SanicBaseError, get_redis, lifespan
from xi_test.config import XiTestConfig
from xi_test.model_db.main import Article, User
from xi_test.model_rc.article import ArticleRC


@pytest.fixture
async def article(tmp_path: Path, redis_url: str) -> AsyncIterator[Article]:
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)
    async with lifespan(config):
        await Tortoise.generate_schemas()
        author = await User.create(name="ann", token_digest="0" * 64)
        yield await Article.create(slug="hello", title="Hello", body="…", author=author)


async def keys() -> set[str]:
    return {key.decode() async for key in get_redis().scan_iter()}


async def test_a_row_is_read_once_and_then_from_redis(article: Article) -> None:
    first = await ArticleRC.get(article.id)
    assert first is not None
    assert (first.slug, first.created_at) == ("hello", article.created_at)
    await Article.filter(id=article.id).update(title="changed behind its back")
    assert await ArticleRC.get(article.id) == first


async def test_what_was_written_is_read_after_invalidation(article: Article) -> None:
    await ArticleRC.get(article.id)
    await Article.filter(id=article.id).update(title="New")
    await ArticleRC.invalidate(article.id)
    entry = await ArticleRC.get(article.id)
    assert entry is not None
    assert entry.title == "New"


async def test_many_keep_their_order_and_their_misses(article: Article) -> None:
    other = await Article.create(slug="other", title="Other", body="", author_id=article.author_id)
    await ArticleRC.get(other.id)
    found = await ArticleRC.get_many([other.id, 999, article.id, other.id])
    assert [entry and entry.slug for entry in found] == ["other", None, "hello", "other"]
    assert await ArticleRC.get_many([]) == []


async def test_an_entry_expires_within_its_ttl(article: Article) -> None:
    await ArticleRC.get(article.id)
    (key,) = await keys()
    assert key.startswith("xi_test:ArticleRC:")
    assert 3200 < await get_redis().ttl(key) <= 3600


async def test_a_row_is_found_by_its_unique_field(article: Article) -> None:
    for _ in range(2):
        entry = await ArticleRC.get_by(slug="hello")
        assert entry is not None
        assert entry.id == article.id
    assert await ArticleRC.get_by(slug="nope") is None


async def test_a_value_that_moved_to_another_row_is_followed(article: Article) -> None:
    await ArticleRC.get_by(slug="hello")
    await Article.filter(id=article.id).update(slug="moved")
    await ArticleRC.invalidate(article.id)
    assert await ArticleRC.get_by(slug="hello") is None
    heir = await Article.create(slug="hello", title="Heir", body="", author_id=article.author_id)
    entry = await ArticleRC.get_by(slug="hello")
    assert entry is not None
    assert entry.id == heir.id


async def test_a_field_that_is_not_unique_is_refused(article: Article) -> None:
    with pytest.raises(SanicBaseError, match=r"ArticleRC\.Meta.unique does not name 'title'"):
        await ArticleRC.get_by(title="Hello")


async def test_outside_a_lifespan_it_says_so() -> None:
    with pytest.raises(NotOpenError):
        await ArticleRC.get(1)


def test_a_class_without_meta_is_refused() -> None:
    with pytest.raises(SanicBaseError, match="class Meta"):

        class Bare(RCModel):
            id: int
