"""`/articles`"""

from typing import Annotated

from pydantic import BaseModel, StringConstraints
from sanic.request import Request

from sanicbase import Created, Page, idempotent
from xi_test.base_api import BaseAPI
from xi_test.config.consts import BODY_LENGTH, SLUG_LENGTH, SLUG_PATTERN, TITLE_LENGTH
from xi_test.handler import article as articles
from xi_test.handler.comment import counts_below
from xi_test.handler.policy import policy
from xi_test.handler.record import access_records
from xi_test.interface.parameters import Key
from xi_test.model_db.main import Article
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=TITLE_LENGTH)]
Body = Annotated[str, StringConstraints(max_length=BODY_LENGTH)]


class ArticleIn(BaseModel):
    """The body of a create request."""

    slug: Slug
    title: Title
    body: Body = ""
    published: bool = True


class ArticlePatch(BaseModel):
    """The body of an update request. Omitted fields keep their values."""

    slug: Slug | None = None
    title: Title | None = None
    body: Body | None = None
    published: bool | None = None


class ArticleLine(BaseModel):
    """An item of the list."""

    id: int
    slug: str
    title: str
    comments: int


class ArticlesAPI(BaseAPI):
    """All articles."""

    async def get(self, request: Request, query: articles.ArticleQuery) -> Page[ArticleLine]:
        """List the published articles, newest first by default."""
        page = await articles.published_articles(query)
        comments = await counts_below([article.id for article in page.items])
        return page.map(lambda article: _line(article, comments[article.id]))

    @policy.requires("articles.write")
    @idempotent
    async def post(self, request: Request, body: ArticleIn, user: UserRC) -> Created[ArticleRC]:
        """Create an article."""
        article = await articles.create_article(user, body.slug, body.title, body.body, published=body.published)
        return Created(article, location=f"{request.path}/{article.id}")


class ArticleAPI(BaseAPI):
    """One article."""

    async def get(self, request: Request, article_id: Key, user: UserRC | None) -> ArticleRC:
        """Get an article by its key. Its author also gets an unpublished one."""
        return _read(user, await ArticleRC.get(article_id))

    async def patch(self, request: Request, article_id: Key, body: ArticlePatch, user: UserRC) -> ArticleRC:
        """Update an article. Only its author and editors may."""
        return await articles.change_article(user, article_id, body.model_dump(exclude_none=True))

    async def delete(self, request: Request, article_id: Key, user: UserRC) -> None:
        """Delete an article and its comments. Only its author and editors may."""
        await articles.delete_article(user, article_id)


class ArticleBySlugAPI(BaseAPI):
    """One article by its slug."""

    async def get(self, request: Request, slug: str, user: UserRC | None) -> ArticleRC:
        """Get an article by its slug. Its author also gets an unpublished one."""
        return _read(user, await ArticleRC.get_by(slug=slug))


def _line(article: Article, comments: int) -> ArticleLine:
    return ArticleLine(id=article.id, slug=article.slug, title=article.title, comments=comments)


def _read(user: UserRC | None, article: ArticleRC | None) -> ArticleRC:
    existing = articles.readable(user, article)
    access_records.add(existing.id)
    return existing
