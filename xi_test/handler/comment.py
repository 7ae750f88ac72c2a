"""Reads and writes of comments."""

from sanicbase import KeysetPage, KeysetQuery
from xi_test.config import config
from xi_test.config.consts import WORD_LENGTH
from xi_test.config.errors import XiTestError
from xi_test.handler.article import readable
from xi_test.handler.policy import policy
from xi_test.model_db.extra import BannedWord
from xi_test.model_db.main import Comment
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.comment_count import CommentCountRC
from xi_test.model_rc.user import UserRC


class CommentQuery(KeysetQuery):
    """The query parameters of an article's comments."""

    class Meta:
        source = Comment
        filters = ("author_id",)
        orders = ("id",)
        size = config.PAGE_SIZE


async def add_comment(author: UserRC, article_id: int, body: str) -> Comment:
    """Add a comment to an article. Raises ARTICLE_NOT_FOUND and WORD_BANNED."""
    readable(author, await ArticleRC.get(article_id))
    words = {word for word in body.lower().split() if len(word) <= WORD_LENGTH}
    if await BannedWord.exists(word__in=words):
        raise XiTestError.WORD_BANNED()
    return await Comment.create(article_id=article_id, author_id=author.id, body=body)


async def delete_comment(user: UserRC, article_id: int, comment_id: int) -> None:
    """Soft-delete the user's comment. Raises COMMENT_NOT_FOUND and Forbidden."""
    comment = await Comment.get_or_none(id=comment_id, article_id=article_id)
    if comment is None:
        raise XiTestError.COMMENT_NOT_FOUND()
    policy.require(user, "comments.delete", comment)
    if not await Comment.delete_by({"id": comment_id, "article_id": article_id}):
        raise XiTestError.COMMENT_NOT_FOUND()


async def comments_below(article_id: int, query: CommentQuery) -> KeysetPage[Comment]:
    """One page of an article's comments, oldest first."""
    return await query.fetch(Comment.filter(article_id=article_id))


async def counts_below(article_ids: list[int]) -> dict[int, int]:
    """The number of comments of each of these articles."""
    counts = await CommentCountRC.get_many(article_ids)
    return {article_id: count.comments if count else 0 for article_id, count in zip(article_ids, counts, strict=True)}
