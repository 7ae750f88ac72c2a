"""`/articles` and `/tags`"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints
from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.config import consts
from conduit.config.errors import ConduitError
from conduit.handler import article as articles
from conduit.interface import Body
from conduit.interface.profile import ProfileOut
from conduit.model_db.main import Article
from conduit.model_rc.article import ArticleRC
from conduit.model_rc.user import UserRC
from sanicbase import APIView, Created, NoContent, raises

Title = Annotated[str, StringConstraints(min_length=1, max_length=consts.TITLE_LENGTH, pattern=r"\w")]
Description = Annotated[str, StringConstraints(min_length=1, max_length=consts.DESCRIPTION_LENGTH)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=consts.BODY_LENGTH)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=consts.TAG_LENGTH)]
TagList = Annotated[list[TagName], Field(max_length=consts.MAX_TAGS)]


class NewArticle(Body):
    """The fields of a new article."""

    title: Title
    description: Description
    body: Text
    tag_list: TagList = []


class ArticleChange(Body):
    """The fields to change. Omitted fields keep their values; null is refused."""

    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    body: Text = Field(default_factory=str)
    tag_list: TagList = Field(default_factory=list)


class ArticleCreation(Body):
    """The body of a request that creates an article."""

    article: NewArticle


class ArticleUpdate(Body):
    """The body of a request that changes an article."""

    article: ArticleChange


class ArticleListItem(Body):
    """An article in a list. The contract omits the body."""

    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: datetime
    updated_at: datetime
    favorited: bool
    favorites_count: int
    author: ProfileOut


class ArticleOut(ArticleListItem):
    """An article with its body."""

    body: str


class ArticleBody(Body):
    """A response with an article."""

    article: ArticleOut


class ArticlesBody(Body):
    """A response with a part of a list of articles, and the total number."""

    articles: list[ArticleListItem]
    articles_count: int


class TagsBody(Body):
    """A response with tags."""

    tags: list[str]


class FeedQuery(BaseModel):
    """The limit and offset of a list."""

    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=2**31 - 1)


class ArticleQuery(FeedQuery):
    """The filters of the list of articles."""

    tag: str | None = Field(None, max_length=consts.TAG_LENGTH)
    author: str | None = Field(None, max_length=consts.USERNAME_LENGTH)
    favorited: str | None = Field(None, max_length=consts.USERNAME_LENGTH)


class ArticlesAPI(BaseAPI):
    """The list of articles."""

    async def get(self, request: Request, query: ArticleQuery, user: UserRC | None) -> ArticlesBody:
        """List articles, newest first, filtered by tag, author or favorites."""
        matching = articles.filter_articles(query.tag, query.author, query.favorited)
        return await _list_body(user, *await articles.fetch_page(matching, query.limit, query.offset))

    @raises(ConduitError.TITLE_TAKEN)
    async def post(self, request: Request, body: ArticleCreation, user: UserRC) -> Created[ArticleBody]:
        """Create an article."""
        new = body.article
        article = await articles.create_article(user, new.title, new.description, new.body, new.tag_list)
        return Created(await _wrapped(user, article))


class FeedAPI(BaseAPI):
    """The feed of the user."""

    async def get(self, request: Request, query: FeedQuery, user: UserRC) -> ArticlesBody:
        """List articles by the authors whom the user follows, newest first."""
        return await _list_body(user, *await articles.fetch_page(articles.feed_of(user), query.limit, query.offset))


class ArticleAPI(BaseAPI):
    """A single article."""

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def get(self, request: Request, slug: str, user: UserRC | None) -> ArticleBody:
        """Get an article by its slug."""
        return await _wrapped(user, await articles.article_with_slug(slug))

    @raises(ConduitError.ARTICLE_NOT_FOUND, ConduitError.ARTICLE_FORBIDDEN, ConduitError.TITLE_TAKEN)
    async def put(self, request: Request, slug: str, body: ArticleUpdate, user: UserRC) -> ArticleBody:
        """Change an article of the user. A new title changes the slug."""
        fields = body.article.model_dump(exclude_unset=True, by_alias=False)
        tags = fields.pop("tag_list", None)
        return await _wrapped(user, await articles.update_article(user, slug, fields, tags))

    @raises(ConduitError.ARTICLE_NOT_FOUND, ConduitError.ARTICLE_FORBIDDEN)
    async def delete(self, request: Request, slug: str, user: UserRC) -> NoContent:
        """Delete an article of the user."""
        await articles.delete_article(user, slug)
        return NoContent()


class FavoriteAPI(BaseAPI):
    """The favorite status of an article."""

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def post(self, request: Request, slug: str, user: UserRC) -> ArticleBody:
        """Add an article to the favorites."""
        return await _wrapped(user, await articles.favorite(user, slug))

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def delete(self, request: Request, slug: str, user: UserRC) -> ArticleBody:
        """Remove an article from the favorites."""
        return await _wrapped(user, await articles.unfavorite(user, slug))


class TagsAPI(APIView, public=True):
    """The list of tags."""

    async def get(self, request: Request) -> TagsBody:
        """List the tags in use, most used first."""
        return TagsBody(tags=await articles.popular_tags())


async def _list_body(reader: UserRC | None, page: Sequence[Article], count: int) -> ArticlesBody:
    views = await articles.as_seen_by(reader, page)
    return ArticlesBody(articles=[ArticleListItem.model_validate(article) for article in views], articles_count=count)


async def _wrapped(reader: UserRC | None, article: ArticleRC) -> ArticleBody:
    (view,) = await articles.as_seen_by(reader, [article])
    return ArticleBody(article=ArticleOut.model_validate(replace(view, body=article.body)))
