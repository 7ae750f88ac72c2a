"""The tables that xi_test's migrations create."""

from tortoise import fields

from sanicbase import DBModel, IdempotencyRecord, OneTimeToken, OutboxMessage, SoftDelete, Timestamps
from xi_test.config.consts import NAME_LENGTH, SLUG_LENGTH, TITLE_LENGTH


class User(DBModel):
    """Who may write: a person with a password, or a script with a token. Only their digests are stored."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=NAME_LENGTH, unique=True)
    """The e-mail address of a person, or the name of a script."""
    role = fields.CharField(max_length=20, default="author")
    password_hash = fields.CharField(max_length=255, null=True)
    token_digest = fields.CharField(max_length=64, unique=True, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "xi_user"


class UserToken(OneTimeToken):
    """The tokens that people get by mail, with which they choose a password."""

    class Meta:
        table = "xi_user_token"


class Article(Timestamps):
    """An article. The list shows only published ones."""

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
    """A comment on an article. Deleted comments stay in the table until their article is deleted."""

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


class IdempotencyKey(IdempotencyRecord):
    """A key by which a client may repeat a request, and the response that it gets again."""

    class Meta:
        table = "xi_idempotency_key"


class Outbox(OutboxMessage):
    """Jobs that a transaction has enqueued and that are not in Redis yet."""

    class Meta:
        table = "xi_outbox"
