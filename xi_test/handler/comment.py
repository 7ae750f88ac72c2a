"""Comments below an article."""

from sanicbase import KeysetPage, KeysetQuery
from xi_test.config import config
from xi_test.model_db.extra import BannedWord
from xi_test.model_db.main import Article, Comment, User


class WordBanned(Exception):
    """The comment holds a word that the moderators have banned."""


class CommentQuery(KeysetQuery):
    """What readers may ask of an article's comments."""

    class Meta:
        source = Comment
        filters = ("author_id",)
        orders = ("id",)
        size = config.PAGE_SIZE


async def add_comment(author: User, article_id: int, body: str) -> Comment | None:
    """Write a comment below an article; None when there is no such article. Raises WordBanned."""
    if not await Article.get_by_pk(article_id):
        return None
    words = {word.lower() for word in body.split()}
    if await BannedWord.exists(word__in=words):
        raise WordBanned
    return await Comment.create(article_id=article_id, author=author, body=body)


async def delete_comment(article_id: int, comment_id: int) -> bool:
    """Take a comment away from readers; False when there is no such comment."""
    return await Comment.delete_by({"id": comment_id, "article_id": article_id}) > 0


async def comments_below(article_id: int, query: CommentQuery) -> KeysetPage[Comment]:
    """A page of an article's comments, the oldest first."""
    return await query.fetch(Comment.filter(article_id=article_id))
