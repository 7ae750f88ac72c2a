"""The tables that conduit migrates."""

from tortoise import fields

from conduit.config import consts
from sanicbase import DBModel, Timestamps


class User(Timestamps):
    """A user. Only a hash of the password is stored."""

    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=consts.USERNAME_LENGTH, unique=True)
    email = fields.CharField(max_length=consts.EMAIL_LENGTH, unique=True)
    password_hash = fields.CharField(max_length=255)
    bio = fields.CharField(max_length=consts.BIO_LENGTH, null=True)
    image = fields.CharField(max_length=consts.IMAGE_LENGTH, null=True)

    class Meta:
        table = "conduit_user"


class Follow(DBModel):
    """One user follows another."""

    id = fields.IntField(primary_key=True)
    follower: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("conduit.User", related_name="follows")
    follower_id: int
    followed: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "conduit.User", related_name="followers", db_index=True
    )
    followed_id: int

    class Meta:
        table = "conduit_follow"
        unique_together = (("follower", "followed"),)


class Tag(DBModel):
    """A tag of articles."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=consts.TAG_LENGTH, unique=True)

    class Meta:
        table = "conduit_tag"


class Article(Timestamps):
    """An article. Clients address it by its slug."""

    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=consts.SLUG_LENGTH, unique=True)
    title = fields.CharField(max_length=consts.TITLE_LENGTH)
    description = fields.CharField(max_length=consts.DESCRIPTION_LENGTH)
    body = fields.TextField()
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "conduit.User", related_name="articles", db_index=True
    )
    author_id: int
    tags: fields.ManyToManyRelation[Tag] = fields.ManyToManyField(
        "conduit.Tag",
        related_name="articles",
        through="conduit_tagging",
        backward_key="article_id",
        forward_key="tag_id",
    )

    class Meta:
        table = "conduit_article"


class Tagging(DBModel):
    """The table between articles and tags. It is a model because tags are ordered."""

    id = fields.IntField(primary_key=True)
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField("conduit.Article", related_name="taggings")
    article_id: int
    tag: fields.ForeignKeyRelation[Tag] = fields.ForeignKeyField("conduit.Tag", related_name="taggings", db_index=True)
    tag_id: int
    place = fields.IntField()

    class Meta:
        table = "conduit_tagging"
        unique_together = (("article", "tag"),)


class Favorite(DBModel):
    """A user likes an article."""

    id = fields.IntField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("conduit.User", related_name="favorites")
    user_id: int
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField(
        "conduit.Article", related_name="favorites", db_index=True
    )
    article_id: int

    class Meta:
        table = "conduit_favorite"
        unique_together = (("user", "article"),)


class Comment(Timestamps):
    """A comment on an article. It is deleted with the article."""

    id = fields.IntField(primary_key=True)
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField(
        "conduit.Article", related_name="comments", db_index=True
    )
    article_id: int
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "conduit.User", related_name="comments", db_index=True
    )
    author_id: int
    body = fields.TextField()

    class Meta:
        table = "conduit_comment"
