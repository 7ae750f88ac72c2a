"""Who may do what with articles and comments."""

from sanicbase import Policy
from xi_test.model_db.main import Comment
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC

AUTHOR = "author"  # every user, unless an administrator changes the column
EDITOR = "editor"
WRITE = ["articles.write", "comments.write"]

policy = Policy[UserRC](
    roles={AUTHOR: WRITE, EDITOR: [*WRITE, "articles.read", "articles.change", "comments.delete"]},
    roles_of=lambda user: [user.role],
)


@policy.rule("articles.read", anonymous=True)
def may_read(user: UserRC | None, article: ArticleRC) -> bool:
    """Everyone reads published articles; an unpublished one is seen by its author and editors only."""
    return article.published or (user is not None and article.author_id == user.id)


@policy.rule("articles.change")
def is_author(user: UserRC, article: ArticleRC) -> bool:
    """An article belongs to its author. Editors change every article, by their role."""
    return article.author_id == user.id


@policy.rule("comments.delete")
def is_author_of_comment(user: UserRC, comment: Comment) -> bool:
    """A comment belongs to its author."""
    return comment.author_id == user.id
