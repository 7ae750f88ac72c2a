"""`/articles/<article_id>/comments`"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from sanic.exceptions import NotFound, SanicException
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase import KeysetPage, success
from xi_test.base_api import BaseAPI
from xi_test.config.consts import COMMENT_LENGTH
from xi_test.handler import comment as comments


class CommentIn(BaseModel):
    """A new comment."""

    body: Annotated[str, StringConstraints(min_length=1, max_length=COMMENT_LENGTH)]


class CommentOut(BaseModel):
    """A comment as its readers see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    author_id: int
    body: str
    created_at: datetime


class CommentsAPI(BaseAPI):
    """The comments below an article."""

    async def get(self, request: Request, article_id: int, query: comments.CommentQuery) -> KeysetPage[CommentOut]:
        """A page of them, the oldest first."""
        return (await comments.comments_below(article_id, query)).map(CommentOut.model_validate)

    async def post(self, request: Request, article_id: int, body: CommentIn) -> HTTPResponse:
        """Write a comment."""
        try:
            comment = await comments.add_comment(self.user(request), article_id, body.body)
        except comments.WordBanned as exc:
            raise SanicException("The comment holds a banned word.", status_code=422) from exc
        if comment is None:
            raise NotFound("There is no such article.")
        return success(CommentOut.model_validate(comment), 201)


class CommentAPI(BaseAPI):
    """One comment."""

    async def delete(self, request: Request, article_id: int, comment_id: int) -> None:
        """Take it away from readers."""
        if not await comments.delete_comment(article_id, comment_id):
            raise NotFound("There is no such comment.")
