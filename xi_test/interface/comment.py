"""`/articles/<article_id>/comments`"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from sanic.request import Request

from sanicbase import Created, KeysetPage, RateLimit
from sanicbase.http.limits import user
from xi_test.base_api import BaseAPI
from xi_test.config.consts import COMMENT_LENGTH
from xi_test.handler import comment as comments
from xi_test.handler.article import readable
from xi_test.handler.policy import policy
from xi_test.interface.parameters import Key
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC


class CommentIn(BaseModel):
    """The body of a create request."""

    body: Annotated[str, StringConstraints(min_length=1, max_length=COMMENT_LENGTH)]


class CommentOut(BaseModel):
    """A comment, as clients see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    author_id: int
    body: str
    created_at: datetime


class CommentsAPI(BaseAPI, limit=RateLimit("60/minute", by=user, methods=["POST"])):
    """The comments of an article."""

    async def get(
        self, request: Request, article_id: Key, query: comments.CommentQuery, user: UserRC | None
    ) -> KeysetPage[CommentOut]:
        """List the comments of an article, oldest first."""
        page = await comments.comments_below(article_id, query)
        readable(user, await ArticleRC.get(article_id))
        return page.map(CommentOut.model_validate)

    @policy.requires("comments.write")
    async def post(self, request: Request, article_id: Key, body: CommentIn, user: UserRC) -> Created[CommentOut]:
        """Add a comment to an article."""
        comment = await comments.add_comment(user, article_id, body.body)
        return Created(CommentOut.model_validate(comment))


class CommentAPI(BaseAPI):
    """One comment."""

    async def delete(self, request: Request, article_id: Key, comment_id: Key, user: UserRC) -> None:
        """Delete a comment. Only its author and editors may."""
        await comments.delete_comment(user, article_id, comment_id)
