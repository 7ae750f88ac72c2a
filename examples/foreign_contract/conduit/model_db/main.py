"""The tables that conduit's migrations make."""

from tortoise import fields

from sanicbase import DBModel, Timestamps


class User(DBModel):
    """Somebody who writes. Of the token only its digest is kept."""

    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=40, unique=True)
    token_digest = fields.CharField(max_length=64, unique=True)

    class Meta:
        table = "conduit_user"


class Article(Timestamps):
    """An article, known to clients by its slug."""

    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=120, unique=True)
    title = fields.CharField(max_length=100)
    body = fields.TextField()
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("conduit.User", related_name="articles")
    author_id: int

    class Meta:
        table = "conduit_article"
