"""`/articles/<slug>/comments`"""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints
from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.config import consts
from conduit.config.errors import ConduitError
from conduit.handler import comment as comments
from conduit.interface import Body
from conduit.interface.profile import ProfileOut
from conduit.model_rc.user import UserRC
from sanicbase import Created, NoContent, raises

Key = Annotated[int, Field(ge=1, le=consts.MAX_KEY)]


class NewComment(Body):
    """The fields of a new comment."""

    body: Annotated[str, StringConstraints(min_length=1, max_length=consts.COMMENT_LENGTH)]


class CommentCreation(Body):
    """The body of a request that creates a comment."""

    comment: NewComment


class CommentOut(Body):
    """A comment."""

    id: int
    body: str
    created_at: datetime
    updated_at: datetime
    author: ProfileOut


class CommentBody(Body):
    """A response with a comment."""

    comment: CommentOut


class CommentsBody(Body):
    """A response with the comments of an article."""

    comments: list[CommentOut]


class CommentsAPI(BaseAPI):
    """The comments of an article."""

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def get(self, request: Request, slug: str, user: UserRC | None) -> CommentsBody:
        """List the comments of an article, oldest first."""
        views = await comments.as_seen_by(user, await comments.comments_of(slug))
        return CommentsBody(comments=[CommentOut.model_validate(comment) for comment in views])

    @raises(ConduitError.ARTICLE_NOT_FOUND)
    async def post(self, request: Request, slug: str, body: CommentCreation, user: UserRC) -> Created[CommentBody]:
        """Add a comment to an article."""
        written = await comments.comment_on(user, slug, body.comment.body)
        (view,) = await comments.as_seen_by(user, [written])
        return Created(CommentBody(comment=CommentOut.model_validate(view)))


class CommentAPI(BaseAPI):
    """A single comment."""

    @raises(ConduitError.ARTICLE_NOT_FOUND, ConduitError.COMMENT_NOT_FOUND, ConduitError.COMMENT_FORBIDDEN)
    async def delete(self, request: Request, slug: str, comment_id: Key, user: UserRC) -> NoContent:
        """Delete a comment of the user."""
        await comments.delete_comment(user, slug, comment_id)
        return NoContent()
