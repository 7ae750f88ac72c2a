"""Reads and writes of articles."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tortoise.functions import Count
from tortoise.queryset import QuerySet

from conduit.config.errors import ConduitError
from conduit.handler.user import Profile, profiles_for
from conduit.model_db.main import Article, Favorite, Tag, Tagging
from conduit.model_rc.article import ArticleRC, FavoriteCountRC, TagListRC
from conduit.model_rc.user import UserRC
from sanicbase import IntegrityError, transaction

RESERVED = {"feed"}
MOST_LISTED_TAGS = 1000
SHOWN = ("id", "slug", "title", "description", "author_id", "created_at", "updated_at")  # on lists: all but the body


class Shown(Protocol):
    """The fields of an article in lists, from the cache or from the table."""

    id: int
    slug: str
    title: str
    description: str
    author_id: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class SeenArticle:
    """An article for one reader. Lists do not include the body."""

    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: datetime
    updated_at: datetime
    favorited: bool
    favorites_count: int
    author: Profile
    body: str = ""


async def write(author: UserRC, title: str, description: str, body: str, tags: Sequence[str]) -> ArticleRC:
    """Create an article. Raises TITLE_TAKEN when another article has the title."""
    known = await _tags(tags)
    fields = {"slug": _slug_of(title), "title": title, "description": description, "body": body}
    async with transaction():
        with _slug_is_free():
            article = await ArticleRC.create(author_id=author.id, **fields)
        await _tag(article, known)
    return article


async def change(user: UserRC, slug: str, fields: dict[str, str], tags: Sequence[str] | None = None) -> ArticleRC:
    """Update the user's own article. Raises ARTICLE_NOT_FOUND, ARTICLE_FORBIDDEN and TITLE_TAKEN."""
    article = await _own_article(user, slug)
    if "title" in fields:
        fields["slug"] = _slug_of(fields["title"])
    known = await _tags(tags or [])
    async with transaction():
        with _slug_is_free():
            changed = await ArticleRC.update(article.id, **fields)
        if changed is None:
            raise ConduitError.ARTICLE_NOT_FOUND()
        if tags is not None:
            await Tagging.delete_by({"article_id": article.id})
            await _tag(changed, known)
    return changed


async def take_back(user: UserRC, slug: str) -> None:
    """Delete the user's own article. Raises ARTICLE_NOT_FOUND and ARTICLE_FORBIDDEN."""
    article = await _own_article(user, slug)
    await ArticleRC.delete(article.id)


async def article_at(slug: str) -> ArticleRC:
    """Get an article by its slug. Raises ARTICLE_NOT_FOUND."""
    article = await ArticleRC.get_by(slug=slug)
    if article is None:
        raise ConduitError.ARTICLE_NOT_FOUND()
    return article


async def like(user: UserRC, slug: str) -> ArticleRC:
    """Add the article to the user's favorites. Repeating it changes nothing. Raises ARTICLE_NOT_FOUND."""
    article = await article_at(slug)
    try:
        await Favorite.upsert({"user_id": user.id, "article_id": article.id}, on=["user", "article"])
    except IntegrityError as exc:  # it was deleted just now
        raise ConduitError.ARTICLE_NOT_FOUND() from exc
    return article


async def like_no_longer(user: UserRC, slug: str) -> ArticleRC:
    """Remove the article from the user's favorites. Raises ARTICLE_NOT_FOUND."""
    article = await article_at(slug)
    await Favorite.delete_by({"user_id": user.id, "article_id": article.id})
    return article


def selected(tag: str | None, author: str | None, favorited: str | None) -> QuerySet[Article]:
    """Articles by tag, author or favoriting user; all articles without a filter."""
    asked = {"tags__name": tag, "author__username": author, "favorites__user__username": favorited}
    return Article.filter(**{name: value for name, value in asked.items() if value is not None})


def feed_of(reader: UserRC) -> QuerySet[Article]:
    """Articles of the authors that the reader follows."""
    return Article.filter(author__followers__follower_id=reader.id)


async def page_of(articles: QuerySet[Article], limit: int, offset: int) -> tuple[list[Article], int]:
    """One page of articles, newest first, without their bodies, and the total."""
    return await articles.order_by("-id").offset(offset).limit(limit).only(*SHOWN), await articles.count()


async def seen_by(reader: UserRC | None, articles: Sequence[Shown]) -> list[SeenArticle]:
    """Articles for one reader. The number of statements does not depend on the number of articles."""
    keys = [article.id for article in articles]
    tags = await TagListRC.get_many(keys)
    counts = await FavoriteCountRC.get_many(keys)
    authors = await profiles_for(reader, [article.author_id for article in articles])
    liked = await _liked(reader, keys)
    return [
        SeenArticle(
            slug=article.slug,
            title=article.title,
            description=article.description,
            tag_list=tag_list.names if tag_list else [],
            created_at=article.created_at,
            updated_at=article.updated_at,
            favorited=article.id in liked,
            favorites_count=count.favorites if count else 0,
            author=authors[article.author_id],
        )
        for article, tag_list, count in zip(articles, tags, counts, strict=True)
    ]


async def popular_tags() -> list[str]:
    """The names of all used tags, most used first."""
    used = Tag.annotate(articles_count=Count("taggings")).filter(articles_count__gt=0)
    return [tag.name for tag in await used.order_by("-articles_count", "name").limit(MOST_LISTED_TAGS)]


def _slug_of(title: str) -> str:
    """The slug of a title. Raises TITLE_TAKEN for a slug that is a path of the contract."""
    slug = re.sub(r"\W+", "-", title.lower()).strip("-")
    if slug in RESERVED:
        raise ConduitError.TITLE_TAKEN()
    return slug


async def _liked(reader: UserRC | None, keys: Sequence[int]) -> set[int]:
    if reader is None or not keys:
        return set()
    return {favorite.article_id for favorite in await Favorite.filter(user_id=reader.id, article_id__in=keys)}


async def _own_article(user: UserRC, slug: str) -> ArticleRC:
    article = await article_at(slug)
    if article.author_id != user.id:
        raise ConduitError.ARTICLE_FORBIDDEN()
    return article


async def _tags(names: Sequence[str]) -> list[Tag]:
    """Get or create the tags of these names. Names that the database considers equal give one tag."""
    tags = {}
    for name in dict.fromkeys(names):
        tag, _ = await Tag.get_or_create(name=name)
        tags[tag.id] = tag
    return list(tags.values())


async def _tag(article: ArticleRC, tags: Sequence[Tag]) -> None:
    rows = [Tagging(article_id=article.id, tag_id=tag.id, place=position) for position, tag in enumerate(tags)]
    await Tagging.bulk_create(rows)


@contextmanager
def _slug_is_free() -> Iterator[None]:
    """Turn the database's unique violation into an error code."""
    try:
        yield
    except IntegrityError as exc:
        if "slug" not in exc.columns:
            raise
        raise ConduitError.TITLE_TAKEN() from exc
