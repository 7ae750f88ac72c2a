"""The tables that xi_test's migrations make."""

from tortoise import fields

from sanicbase import DBModel, SoftDelete, Timestamps
from xi_test.config.consts import SLUG_LENGTH, TITLE_LENGTH


class User(DBModel):
    """Somebody who may write. Of the token only its digest is kept."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    token_digest = fields.CharField(max_length=64, unique=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "xi_user"


class Article(Timestamps):
    """An article. Only published ones are on the list."""

    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=SLUG_LENGTH, unique=True)
    title = fields.CharField(max_length=TITLE_LENGTH)
    body = fields.TextField()
    published = fields.BooleanField(default=False)
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "xi_test.User", related_name="articles", db_index=True
    )
    author_id: int

    class Meta:
        table = "xi_article"


class Comment(Timestamps, SoftDelete):
    """A comment below an article. Deleted ones stay for the moderators; all go with the article."""

    id = fields.IntField(primary_key=True)
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField(
        "xi_test.Article", related_name="comments", db_index=True
    )
    article_id: int
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "xi_test.User", related_name="comments", db_index=True
    )
    author_id: int
    body = fields.TextField()

    class Meta:
        table = "xi_comment"
