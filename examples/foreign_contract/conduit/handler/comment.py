"""Create, delete and list comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from conduit.config.errors import ConduitError
from conduit.handler.article import article_with_slug
from conduit.handler.user import Profile, profiles_of
from conduit.model_db.main import Comment
from conduit.model_rc.user import UserRC
from sanicbase import IntegrityError

MAX_COMMENTS = 1000  # the contract has no pagination for comments


@dataclass(frozen=True)
class CommentView:
    """A comment as one reader sees it."""

    id: int
    body: str
    created_at: datetime
    updated_at: datetime
    author: Profile


async def comment_on(user: UserRC, slug: str, body: str) -> Comment:
    """Add a comment to an article. Raises ARTICLE_NOT_FOUND."""
    article = await article_with_slug(slug)
    try:
        return await Comment.create(article_id=article.id, author_id=user.id, body=body)
    except IntegrityError as exc:  # the article was deleted concurrently
        raise ConduitError.ARTICLE_NOT_FOUND() from exc


async def comments_of(slug: str) -> list[Comment]:
    """Return the newest comments of an article, oldest first. Raises ARTICLE_NOT_FOUND."""
    article = await article_with_slug(slug)
    newest = await Comment.filter(article_id=article.id).order_by("-id").limit(MAX_COMMENTS)
    return newest[::-1]


async def delete_comment(user: UserRC, slug: str, comment_id: int) -> None:
    """Delete a comment of the user. Raises ARTICLE_NOT_FOUND, COMMENT_NOT_FOUND and COMMENT_FORBIDDEN."""
    article = await article_with_slug(slug)
    comment = await Comment.get_or_none(id=comment_id, article_id=article.id)
    if comment is None:
        raise ConduitError.COMMENT_NOT_FOUND()
    if comment.author_id != user.id:
        raise ConduitError.COMMENT_FORBIDDEN()
    await comment.delete()


async def as_seen_by(reader: UserRC | None, comments: Sequence[Comment]) -> list[CommentView]:
    """Return the comments as the reader sees them."""
    authors = await profiles_of(reader, [comment.author_id for comment in comments])
    return [
        CommentView(comment.id, comment.body, comment.created_at, comment.updated_at, authors[comment.author_id])
        for comment in comments
    ]
