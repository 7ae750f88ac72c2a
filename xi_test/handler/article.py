"""Articles: writing them, and the list of the published ones."""

from sanicbase import Page, PageQuery
from xi_test.config import config
from xi_test.model_db.main import Article, User
from xi_test.model_rc.article import ArticleRC


class ArticleQuery(PageQuery):
    """What readers may ask of the list."""

    class Meta:
        source = Article
        filters = ("title__icontains", "author_id", "created_at__gte", "created_at__lt")
        orders = ("id", "created_at", "title")
        default_order = "-id"
        size = config.PAGE_SIZE


async def create_article(author: User, slug: str, title: str, body: str, *, published: bool) -> Article:
    """Write a new article. Raises IntegrityError when another one has the slug."""
    return await Article.create(author=author, slug=slug, title=title, body=body, published=published)


async def change_article(article_id: int, fields: dict[str, str | bool]) -> ArticleRC | None:
    """Change some fields of an article; None when there is no such article. Raises as `create_article` does."""
    await Article.update_by_pk(article_id, fields)
    await ArticleRC.invalidate(article_id)
    return await ArticleRC.get(article_id)


async def delete_article(article_id: int) -> bool:
    """Delete an article with its comments; False when there is no such article."""
    deleted = await Article.delete_by_pk(article_id)
    await ArticleRC.invalidate(article_id)
    return deleted


async def published_articles(query: ArticleQuery) -> Page[Article]:
    """A page of the published articles."""
    return await query.fetch(Article.filter(published=True))
