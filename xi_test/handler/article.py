"""Articles: writing them, and the list of the published ones."""

from tortoise.exceptions import IntegrityError

from xi_test.model_db.main import Article, User
from xi_test.model_rc.article import ArticleRC


class SlugTaken(Exception):
    """Another article has this slug."""


async def create_article(author: User, slug: str, title: str, body: str, *, published: bool) -> Article:
    """Write a new article. Raises SlugTaken."""
    try:
        return await Article.create(author=author, slug=slug, title=title, body=body, published=published)
    except IntegrityError as exc:
        raise SlugTaken from exc


async def change_article(article_id: int, fields: dict[str, str | bool]) -> ArticleRC | None:
    """Change some fields of an article; None when there is no such article. Raises SlugTaken."""
    article = await Article.get_or_none(id=article_id)
    if article is None:
        return None
    try:
        await article.update_from_dict(fields).save()
    except IntegrityError as exc:
        raise SlugTaken from exc
    await ArticleRC.invalidate(article_id)
    return await ArticleRC.get(article_id)


async def delete_article(article_id: int) -> bool:
    """Delete an article with its comments; False when there is no such article."""
    deleted = await Article.filter(id=article_id).delete()
    await ArticleRC.invalidate(article_id)
    return deleted > 0


async def published_articles(page: int, size: int) -> tuple[list[Article], int]:
    """A page of the published articles, the newest first, and how many there are."""
    published = Article.filter(published=True)
    articles = await published.order_by("-id").offset((page - 1) * size).limit(size)
    return articles, await published.count()
