"""`/articles`"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from sanic.exceptions import NotFound
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import Page, success
from xi_test.base_api import BaseAPI
from xi_test.config.consts import BODY_LENGTH, SLUG_LENGTH, SLUG_PATTERN, TITLE_LENGTH
from xi_test.handler import article as articles
from xi_test.handler.record import access_records
from xi_test.model_rc.article import ArticleRC

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=TITLE_LENGTH)]
Body = Annotated[str, StringConstraints(max_length=BODY_LENGTH)]


class ArticleIn(BaseModel):
    """A new article."""

    slug: Slug
    title: Title
    body: Body = ""
    published: bool = True


class ArticlePatch(BaseModel):
    """The fields of an article to change; what is left out stays."""

    slug: Slug | None = None
    title: Title | None = None
    body: Body | None = None
    published: bool | None = None


class ArticleLine(BaseModel):
    """An article on the list."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    slug: str
    title: str


class ArticlesAPI(BaseAPI):
    """All articles."""

    async def get(self, request: Request, query: articles.ArticleQuery) -> Page[ArticleLine]:
        """A page of the published articles, the newest first unless another order is asked for."""
        return (await articles.published_articles(query)).map(ArticleLine.model_validate)

    async def post(self, request: Request, body: ArticleIn) -> HTTPResponse:
        """Write a new article."""
        article = await articles.create_article(
            self.user(request), body.slug, body.title, body.body, published=body.published
        )
        return success(ArticleRC.model_validate(article), 201)


class ArticleAPI(BaseAPI):
    """One article."""

    async def get(self, request: Request, article_id: int) -> ArticleRC:
        """The article with that key."""
        return _read(await ArticleRC.get(article_id))

    async def patch(self, request: Request, article_id: int, body: ArticlePatch) -> ArticleRC:
        """Change some of its fields."""
        return _found(await articles.change_article(article_id, body.model_dump(exclude_none=True)))

    async def delete(self, request: Request, article_id: int) -> None:
        """Delete it with its comments."""
        if not await articles.delete_article(article_id):
            raise NotFound("There is no such article.")


class ArticleBySlugAPI(BaseAPI):
    """One article by its slug."""

    async def get(self, request: Request, slug: str) -> ArticleRC:
        """The article with that slug."""
        return _read(await ArticleRC.get_by(slug=slug))


def _read(article: ArticleRC | None) -> ArticleRC:
    found = _found(article)
    access_records.add(found.id)
    return found


def _found(article: ArticleRC | None) -> ArticleRC:
    if article is None:
        raise NotFound("There is no such article.")
    return article
