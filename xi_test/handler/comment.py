"""Comments below an article."""

from xi_test.model_db.extra import BannedWord
from xi_test.model_db.main import Article, Comment, User


class WordBanned(Exception):
    """The comment holds a word that the moderators have banned."""


async def add_comment(author: User, article_id: int, body: str) -> Comment | None:
    """Write a comment below an article; None when there is no such article. Raises WordBanned."""
    if not await Article.exists(id=article_id):
        return None
    words = {word.lower() for word in body.split()}
    if await BannedWord.exists(word__in=words):
        raise WordBanned
    return await Comment.create(article_id=article_id, author=author, body=body)


async def comments_below(article_id: int, page: int, size: int) -> tuple[list[Comment], int]:
    """A page of an article's comments, the oldest first, and how many there are."""
    comments = Comment.filter(article_id=article_id)
    return await comments.order_by("id").offset((page - 1) * size).limit(size), await comments.count()
