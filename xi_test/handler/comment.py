"""Comments below an article."""

from sanicbase import KeysetPage, KeysetQuery
from xi_test.config import config
from xi_test.config.consts import WORD_LENGTH
from xi_test.config.errors import XiTestError
from xi_test.model_db.extra import BannedWord
from xi_test.model_db.main import Article, Comment
from xi_test.model_rc.comment_count import CommentCountRC
from xi_test.model_rc.user import UserRC


class CommentQuery(KeysetQuery):
    """What readers may ask of an article's comments."""

    class Meta:
        source = Comment
        filters = ("author_id",)
        orders = ("id",)
        size = config.PAGE_SIZE


async def add_comment(author: UserRC, article_id: int, body: str) -> Comment | None:
    """Write a comment below an article; None when there is no such article. Raises WORD_BANNED."""
    if not await Article.get_by_pk(article_id):
        return None
    words = {word for word in body.lower().split() if len(word) <= WORD_LENGTH}
    if await BannedWord.exists(word__in=words):
        raise XiTestError.WORD_BANNED()
    return await Comment.create(article_id=article_id, author_id=author.id, body=body)


async def delete_comment(article_id: int, comment_id: int) -> bool:
    """Take a comment away from readers; False when there is no such comment."""
    return await Comment.delete_by({"id": comment_id, "article_id": article_id}) > 0


async def comments_below(article_id: int, query: CommentQuery) -> KeysetPage[Comment]:
    """A page of an article's comments, the oldest first."""
    return await query.fetch(Comment.filter(article_id=article_id))


async def counts_below(article_ids: list[int]) -> dict[int, int]:
    """How many comments each of these articles has."""
    counts = await CommentCountRC.get_many(article_ids)
    return {article_id: count.comments if count else 0 for article_id, count in zip(article_ids, counts, strict=True)}
