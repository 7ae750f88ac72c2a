"""`/api/articles`"""

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints
from sanic.request import Request
from sanic.response import HTTPResponse, empty

from conduit.base_api import BaseAPI
from conduit.handler import article as articles
from conduit.interface import Body
from conduit.interface.user import KnownUser
from conduit.model_db.main import Article, User
from sanicbase import Created


class NewArticle(Body):
    """What an author sends."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\w")]
    body: Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class Draft(Body):
    """A new article, wrapped."""

    article: NewArticle


class ArticleOut(Body):
    """An article."""

    slug: str
    title: str
    body: str
    created_at: datetime
    author: KnownUser


class ArticleBody(Body):
    """One article, wrapped."""

    article: ArticleOut


class ArticlesBody(Body):
    """A list of them, with its length."""

    articles: list[ArticleOut]
    articles_count: int


class ArticlesAPI(BaseAPI):
    """All articles."""

    async def get(self, request: Request) -> ArticlesBody:
        """The newest articles."""
        found = [ArticleOut.model_validate(each) for each in await articles.newest()]
        return ArticlesBody(articles=found, articles_count=len(found))

    async def post(self, request: Request, body: Draft, user: User) -> Created[ArticleBody]:
        """Write an article."""
        return Created(_wrapped(await articles.write(user, body.article.title, body.article.body)))


class ArticleAPI(BaseAPI):
    """One article."""

    async def get(self, request: Request, slug: str) -> ArticleBody:
        """The article with that slug."""
        return _wrapped(await articles.article(slug))

    async def delete(self, request: Request, slug: str, user: User) -> HTTPResponse:
        """Take an article of one's own back."""
        await articles.take_back(user, slug)
        return empty()


def _wrapped(article: Article) -> ArticleBody:
    return ArticleBody(article=ArticleOut.model_validate(article))
