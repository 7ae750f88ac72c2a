"""The error codes of xi_test."""

from sanicbase import ErrorCode


class XiTestError(ErrorCode):
    """1000 and on: articles; 1100 and on: comments."""

    ARTICLE_NOT_FOUND = 1001, 404, "There is no such article.", "没有这篇文章。"
    SLUG_TAKEN = 1002, 409, "Another article has the slug {slug}.", "slug {slug} 已被另一篇文章占用。"

    COMMENT_NOT_FOUND = 1101, 404, "There is no such comment.", "没有这条评论。"
    WORD_BANNED = 1102, 422, "The comment contains a banned word.", "评论中含有违禁词。"
