"""Create, change, delete and list articles."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tortoise.functions import Count
from tortoise.queryset import QuerySet

from conduit.config.errors import ConduitError
from conduit.handler.user import Profile, profiles_of
from conduit.model_db.main import Article, Favorite, Tag, Tagging
from conduit.model_rc.article import ArticleRC, FavoriteCountRC, TagListRC
from conduit.model_rc.user import UserRC
from sanicbase import IntegrityError, transaction

RESERVED = {"feed"}
MAX_LISTED_TAGS = 1000
LIST_COLUMNS = ("id", "slug", "title", "description", "author_id", "created_at", "updated_at")  # without the body


class ArticleSummary(Protocol):
    """The fields of an article in a list, from the cache or from the table."""

    id: int
    slug: str
    title: str
    description: str
    author_id: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ArticleView:
    """An article as one reader sees it. In lists, the body is empty."""

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


async def create_article(author: UserRC, title: str, description: str, body: str, tags: Sequence[str]) -> ArticleRC:
    """Create an article. Raises TITLE_TAKEN if the title is in use."""
    tag_rows = await _tags(tags)
    fields = {"slug": _slug_of(title), "title": title, "description": description, "body": body}
    async with transaction():
        with _unique_slug():
            article = await ArticleRC.create(author_id=author.id, **fields)
        await _tag(article, tag_rows)
    return article


async def update_article(
    user: UserRC, slug: str, fields: dict[str, str], tags: Sequence[str] | None = None
) -> ArticleRC:
    """Change an article of the user. Raises ARTICLE_NOT_FOUND, ARTICLE_FORBIDDEN and TITLE_TAKEN."""
    article = await _article_of(user, slug)
    if "title" in fields:
        fields["slug"] = _slug_of(fields["title"])
    tag_rows = await _tags(tags or [])
    async with transaction():
        with _unique_slug():
            changed = await ArticleRC.update(article.id, **fields)
        if changed is None:
            raise ConduitError.ARTICLE_NOT_FOUND()
        if tags is not None:
            await Tagging.delete_by({"article_id": article.id})
            await _tag(changed, tag_rows)
    return changed


async def delete_article(user: UserRC, slug: str) -> None:
    """Delete an article of the user. Raises ARTICLE_NOT_FOUND and ARTICLE_FORBIDDEN."""
    article = await _article_of(user, slug)
    await ArticleRC.delete(article.id)


async def article_with_slug(slug: str) -> ArticleRC:
    """Return the article with this slug. Raises ARTICLE_NOT_FOUND."""
    article = await ArticleRC.get_by(slug=slug)
    if article is None:
        raise ConduitError.ARTICLE_NOT_FOUND()
    return article


async def favorite(user: UserRC, slug: str) -> ArticleRC:
    """Add an article to the favorites of the user. Idempotent. Raises ARTICLE_NOT_FOUND."""
    article = await article_with_slug(slug)
    try:
        await Favorite.upsert({"user_id": user.id, "article_id": article.id}, on=["user", "article"])
    except IntegrityError as exc:  # the article was deleted concurrently
        raise ConduitError.ARTICLE_NOT_FOUND() from exc
    return article


async def unfavorite(user: UserRC, slug: str) -> ArticleRC:
    """Remove an article from the favorites of the user. Idempotent. Raises ARTICLE_NOT_FOUND."""
    article = await article_with_slug(slug)
    await Favorite.delete_by({"user_id": user.id, "article_id": article.id})
    return article


def filter_articles(tag: str | None, author: str | None, favorited: str | None) -> QuerySet[Article]:
    """Return the query for articles with a tag, by an author, or favorited by a user. None does not filter."""
    filters = {"tags__name": tag, "author__username": author, "favorites__user__username": favorited}
    return Article.filter(**{name: value for name, value in filters.items() if value is not None})


def feed_of(reader: UserRC) -> QuerySet[Article]:
    """Return the query for articles by the authors whom the reader follows."""
    return Article.filter(author__followers__follower_id=reader.id)


async def fetch_page(articles: QuerySet[Article], limit: int, offset: int) -> tuple[list[Article], int]:
    """Return a part of the articles, newest first and without bodies, and the total number."""
    return await articles.order_by("-id").offset(offset).limit(limit).only(*LIST_COLUMNS), await articles.count()


async def as_seen_by(reader: UserRC | None, articles: Sequence[ArticleSummary]) -> list[ArticleView]:
    """Return the articles as the reader sees them. The number of statements does not depend on their number."""
    keys = [article.id for article in articles]
    tags = await TagListRC.get_many(keys)
    counts = await FavoriteCountRC.get_many(keys)
    authors = await profiles_of(reader, [article.author_id for article in articles])
    liked = await _liked(reader, keys)
    return [
        ArticleView(
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
    """Return the names of all tags in use, most used first."""
    used = Tag.annotate(articles_count=Count("taggings")).filter(articles_count__gt=0)
    return [tag.name for tag in await used.order_by("-articles_count", "name").limit(MAX_LISTED_TAGS)]


def _slug_of(title: str) -> str:
    """Return the slug for a title. Raises TITLE_TAKEN for a slug that is a path of the contract."""
    slug = re.sub(r"\W+", "-", title.lower()).strip("-")
    if slug in RESERVED:
        raise ConduitError.TITLE_TAKEN()
    return slug


async def _liked(reader: UserRC | None, keys: Sequence[int]) -> set[int]:
    if reader is None or not keys:
        return set()
    return {favorite.article_id for favorite in await Favorite.filter(user_id=reader.id, article_id__in=keys)}


async def _article_of(user: UserRC, slug: str) -> ArticleRC:
    article = await article_with_slug(slug)
    if article.author_id != user.id:
        raise ConduitError.ARTICLE_FORBIDDEN()
    return article


async def _tags(names: Sequence[str]) -> list[Tag]:
    """Get or create the tags, without duplicates. Databases may treat different names as equal."""
    by_id = {}
    for name in dict.fromkeys(names):
        tag, _ = await Tag.get_or_create(name=name)
        by_id[tag.id] = tag
    return list(by_id.values())


async def _tag(article: ArticleRC, tags: Sequence[Tag]) -> None:
    rows = [Tagging(article_id=article.id, tag_id=tag.id, place=position) for position, tag in enumerate(tags)]
    await Tagging.bulk_create(rows)


@contextmanager
def _unique_slug() -> Iterator[None]:
    """Turn a violation of the unique slug into TITLE_TAKEN."""
    try:
        yield
    except IntegrityError as exc:
        if "slug" not in exc.columns:
            raise
        raise ConduitError.TITLE_TAKEN() from exc
