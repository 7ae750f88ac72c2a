"""Articles: writing them, and the list of the published ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from sanicbase import IntegrityError, Page, PageQuery
from xi_test.config import config
from xi_test.config.errors import XiTestError
from xi_test.model_db.main import Article
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC


class ArticleQuery(PageQuery):
    """What readers may ask of the list."""

    class Meta:
        source = Article
        filters = ("title__icontains", "author_id", "created_at__gte", "created_at__lt")
        orders = ("id", "created_at", "title")
        default_order = "-id"
        size = config.PAGE_SIZE


async def create_article(author: UserRC, slug: str, title: str, body: str, *, published: bool) -> ArticleRC:
    """Write a new article. Raises SLUG_TAKEN when another one has the slug."""
    with _slug_is_free(slug):
        return await ArticleRC.create(author_id=author.id, slug=slug, title=title, body=body, published=published)


async def change_article(article_id: int, fields: dict[str, str | bool]) -> ArticleRC | None:
    """Change some fields of an article; None when there is no such article. Raises as `create_article` does."""
    with _slug_is_free(fields.get("slug")):
        return await ArticleRC.update(article_id, **fields)


async def delete_article(article_id: int) -> bool:
    """Delete an article with its comments; False when there is no such article."""
    return await ArticleRC.delete(article_id)


async def published_articles(query: ArticleQuery) -> Page[Article]:
    """A page of the published articles."""
    return await query.fetch(Article.filter(published=True))


@contextmanager
def _slug_is_free(slug: object) -> Iterator[None]:
    """Whether it is says the database, at the write: whoever asked before would only know how it was."""
    try:
        yield
    except IntegrityError as exc:
        if "slug" not in exc.columns:
            raise
        raise XiTestError.SLUG_TAKEN(slug=slug) from exc
