"""Reads and writes of articles."""

from collections.abc import Iterator
from contextlib import contextmanager

from sanicbase import IntegrityError, Page, PageQuery
from xi_test.config import config
from xi_test.config.errors import XiTestError
from xi_test.model_db.main import Article
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC


class ArticleQuery(PageQuery):
    """The query parameters of the list."""

    class Meta:
        source = Article
        filters = ("title__icontains", "author_id", "created_at__gte", "created_at__lt")
        orders = ("id", "created_at", "title")
        default_order = "-id"
        size = config.PAGE_SIZE


async def create_article(author: UserRC, slug: str, title: str, body: str, *, published: bool) -> ArticleRC:
    """Create an article. Raises SLUG_TAKEN when another article has the slug."""
    with _slug_is_free(slug):
        return await ArticleRC.create(author_id=author.id, slug=slug, title=title, body=body, published=published)


async def change_article(article_id: int, fields: dict[str, str | bool]) -> ArticleRC | None:
    """Update fields of an article. Returns None when it does not exist. Raises SLUG_TAKEN."""
    with _slug_is_free(fields.get("slug")):
        return await ArticleRC.update(article_id, **fields)


async def delete_article(article_id: int) -> bool:
    """Delete an article and its comments. Returns False when it does not exist."""
    return await ArticleRC.delete(article_id)


async def published_articles(query: ArticleQuery) -> Page[Article]:
    """One page of the published articles."""
    return await query.fetch(Article.filter(published=True))


@contextmanager
def _slug_is_free(slug: object) -> Iterator[None]:
    """Turn the database's unique violation into SLUG_TAKEN. A check before the write could be outdated."""
    try:
        yield
    except IntegrityError as exc:
        if "slug" not in exc.columns:
            raise
        raise XiTestError.SLUG_TAKEN(slug=slug) from exc
