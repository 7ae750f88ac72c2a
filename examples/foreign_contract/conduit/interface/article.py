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
TagList = Annotated[list[TagName], Field(max_length=consts.MOST_TAGS)]


class NewArticle(Body):
    """The fields of a new article."""

    title: Title
    description: Description
    body: Text
    tag_list: TagList = []


class ArticleChange(Body):
    """The fields to update. Omitted fields keep their values, and no field can be null."""

    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    body: Text = Field(default_factory=str)
    tag_list: TagList = Field(default_factory=list)


class Draft(Body):
    """The body of a create request."""

    article: NewArticle


class ArticleUpdate(Body):
    """The body of an update request."""

    article: ArticleChange


class ArticleLine(Body):
    """An article in a list, without the body."""

    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: datetime
    updated_at: datetime
    favorited: bool
    favorites_count: int
    author: ProfileOut


class ArticleOut(ArticleLine):
    """An article."""

    body: str


class ArticleBody(Body):
    """The body with one article."""

    article: ArticleOut


class ArticlesBody(Body):
    """The body with a page of articles and the total."""

    articles: list[ArticleLine]
    articles_count: int


class TagsBody(Body):
    """The body with tags."""

    tags: list[str]


class FeedQuery(BaseModel):
    """The pagination of a list."""

    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=2**31 - 1)


class ArticleQuery(FeedQuery):
    """The filters of a list of articles."""

    tag: str | None = Field(None, max_length=consts.TAG_LENGTH)
    author: str | None = Field(None, max_length=consts.USERNAME_LENGTH)
    favorited: str | None = Field(None, max_length=consts.USERNAME_LENGTH)


class ArticlesAPI(BaseAPI):
    """All articles."""

    async def get(self, request: Request, query: ArticleQuery, user: UserRC | None) -> ArticlesBody:
        """The newest articles, filtered by tag, author or favoriting user."""
        selected = articles.selected(query.tag, query.author, query.favorited)
        return await _listed(user, *await articles.page_of(selected, query.limit, query.offset))

    @raises(ConduitError.TITLE_TAKEN)
    async def post(self, request: Request, body: Draft, user: UserRC) -> Created[ArticleBody]:
        """Create an article."""
        new = body.article
        article = await articles.write(user, new.title, new.description, new.body, new.tag_list)
        return Created(await _wrapped(user, article))


class FeedAPI(BaseAPI):
    """Articles of the authors that the reader follows."""

    async def get(self, request: Request, query: FeedQuery, user: UserRC) -> ArticlesBody:
        """The newest articles of the feed."""
        return await _listed(user, *await articles.page_of(articles.feed_of(user), query.limit, query.offset))


class ArticleAPI(BaseAPI):
    """One article."""

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def get(self, request: Request, slug: str, user: UserRC | None) -> ArticleBody:
        """Get an article by its slug."""
        return await _wrapped(user, await articles.article_at(slug))

    @raises(ConduitError.ARTICLE_NOT_FOUND, ConduitError.ARTICLE_FORBIDDEN, ConduitError.TITLE_TAKEN)
    async def put(self, request: Request, slug: str, body: ArticleUpdate, user: UserRC) -> ArticleBody:
        """Update your own article. A new title changes the slug."""
        fields = body.article.model_dump(exclude_unset=True, by_alias=False)
        tags = fields.pop("tag_list", None)
        return await _wrapped(user, await articles.change(user, slug, fields, tags))

    @raises(ConduitError.ARTICLE_NOT_FOUND, ConduitError.ARTICLE_FORBIDDEN)
    async def delete(self, request: Request, slug: str, user: UserRC) -> NoContent:
        """Delete your own article."""
        await articles.take_back(user, slug)
        return NoContent()


class FavoriteAPI(BaseAPI):
    """The reader's favorite mark of an article."""

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def post(self, request: Request, slug: str, user: UserRC) -> ArticleBody:
        """Favorite the article."""
        return await _wrapped(user, await articles.like(user, slug))

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def delete(self, request: Request, slug: str, user: UserRC) -> ArticleBody:
        """Unfavorite the article."""
        return await _wrapped(user, await articles.like_no_longer(user, slug))


class TagsAPI(APIView, public=True):
    """All tags."""

    async def get(self, request: Request) -> TagsBody:
        """All used tags, most used first."""
        return TagsBody(tags=await articles.popular_tags())


async def _listed(reader: UserRC | None, page: Sequence[Article], count: int) -> ArticlesBody:
    seen = await articles.seen_by(reader, page)
    return ArticlesBody(articles=[ArticleLine.model_validate(article) for article in seen], articles_count=count)


async def _wrapped(reader: UserRC | None, article: ArticleRC) -> ArticleBody:
    (seen,) = await articles.seen_by(reader, [article])
    return ArticleBody(article=ArticleOut.model_validate(replace(seen, body=article.body)))
