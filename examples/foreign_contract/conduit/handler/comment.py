"""Reads and writes of comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from conduit.config.errors import ConduitError
from conduit.handler.article import article_at
from conduit.handler.user import Profile, profiles_for
from conduit.model_db.main import Comment
from conduit.model_rc.user import UserRC
from sanicbase import IntegrityError

MOST_COMMENTS = 1000  # the contract has no pages of them


@dataclass(frozen=True)
class SeenComment:
    """A comment for one reader."""

    id: int
    body: str
    created_at: datetime
    updated_at: datetime
    author: Profile


async def comment_on(user: UserRC, slug: str, body: str) -> Comment:
    """Add a comment. Raises ARTICLE_NOT_FOUND."""
    article = await article_at(slug)
    try:
        return await Comment.create(article_id=article.id, author_id=user.id, body=body)
    except IntegrityError as exc:  # the article was deleted just now
        raise ConduitError.ARTICLE_NOT_FOUND() from exc


async def comments_below(slug: str) -> list[Comment]:
    """The newest comments of an article, oldest first. Raises ARTICLE_NOT_FOUND."""
    article = await article_at(slug)
    newest = await Comment.filter(article_id=article.id).order_by("-id").limit(MOST_COMMENTS)
    return newest[::-1]


async def delete_comment(user: UserRC, slug: str, comment_id: int) -> None:
    """Delete the user's own comment. Raises ARTICLE_NOT_FOUND, COMMENT_NOT_FOUND and COMMENT_FORBIDDEN."""
    article = await article_at(slug)
    comment = await Comment.get_or_none(id=comment_id, article_id=article.id)
    if comment is None:
        raise ConduitError.COMMENT_NOT_FOUND()
    if comment.author_id != user.id:
        raise ConduitError.COMMENT_FORBIDDEN()
    await comment.delete()


async def seen_by(reader: UserRC | None, comments: Sequence[Comment]) -> list[SeenComment]:
    """Comments for one reader."""
    authors = await profiles_for(reader, [comment.author_id for comment in comments])
    return [
        SeenComment(comment.id, comment.body, comment.created_at, comment.updated_at, authors[comment.author_id])
        for comment in comments
    ]
