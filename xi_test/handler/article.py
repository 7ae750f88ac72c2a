"""Reads and writes of articles."""

from collections.abc import Iterator
from contextlib import contextmanager

from sanicbase import IntegrityError, Page, PageQuery, transaction
from xi_test.config import config
from xi_test.config.errors import XiTestError
from xi_test.handler.announcement import announce_article
from xi_test.handler.policy import policy
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
    """Create an article, and tell subscribers of it. Raises SLUG_TAKEN when another article has the slug."""
    with _slug_is_free(slug):
        async with transaction():
            article = await ArticleRC.create(
                author_id=author.id, slug=slug, title=title, body=body, published=published
            )
            if published:
                await announce_article.enqueue(article.id)
    return article


def readable(user: UserRC | None, article: ArticleRC | None) -> ArticleRC:
    """The article. Raises ARTICLE_NOT_FOUND when there is none, also for one that the user may not know of."""
    if article is None or not policy.may(user, "articles.read", article):
        raise XiTestError.ARTICLE_NOT_FOUND()
    return article


async def change_article(user: UserRC, article_id: int, fields: dict[str, str | bool]) -> ArticleRC:
    """Update fields of the user's article. Raises ARTICLE_NOT_FOUND, Forbidden, and SLUG_TAKEN."""
    await _own_article(user, article_id)
    with _slug_is_free(fields.get("slug")):
        return readable(user, await ArticleRC.update(article_id, **fields))


async def delete_article(user: UserRC, article_id: int) -> None:
    """Delete the user's article and its comments. Raises ARTICLE_NOT_FOUND and Forbidden."""
    await _own_article(user, article_id)
    if not await ArticleRC.delete(article_id):
        raise XiTestError.ARTICLE_NOT_FOUND()


async def _own_article(user: UserRC, article_id: int) -> None:
    """Check that the article is the user's. Its author never changes, so the check stays true during the write."""
    policy.require(user, "articles.change", readable(user, await ArticleRC.get(article_id)))


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
