"""Models that are all relations: in unique sets, to themselves, one to one, many to many, and by other columns."""

from __future__ import annotations

from tortoise import fields

from sanicbase.db import DBModel, SoftDelete, Versioned


class Reader(DBModel):
    id = fields.IntField(primary_key=True)
    card = fields.CharField(max_length=8, unique=True)
    mentor: fields.ForeignKeyNullableRelation[Reader] = fields.ForeignKeyField(
        "library.Reader", related_name="pupils", null=True, on_delete=fields.SET_NULL
    )
    mentor_id: int | None
    pupils: fields.ReverseRelation[Reader]
    votes: fields.ReverseRelation[Vote]


class Topic(DBModel):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20, unique=True)


class Article(DBModel):
    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=20, unique=True)
    topics: fields.ManyToManyRelation[Topic] = fields.ManyToManyField(
        "library.Topic", related_name="articles", through="tagging", forward_key="topic_id", backward_key="article_id"
    )


class Tagging(DBModel):
    """The table between articles and topics, as a model with a column of its own."""

    id = fields.IntField(primary_key=True)
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField("library.Article", related_name="taggings")
    article_id: int
    topic: fields.ForeignKeyRelation[Topic] = fields.ForeignKeyField("library.Topic", related_name="taggings")
    topic_id: int
    weight = fields.IntField(db_default=1)

    class Meta:
        unique_together = (("article", "topic"),)


class Vote(DBModel):
    """One of a reader for an article."""

    id = fields.IntField(primary_key=True)
    who: fields.ForeignKeyRelation[Reader] = fields.ForeignKeyField("library.Reader", related_name="votes")
    who_id: int
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField("library.Article", related_name="votes")
    article_id: int
    value = fields.IntField(default=1)

    class Meta:
        unique_together = (("who", "article"),)


class Profile(DBModel):
    """A reader's, with the reader's key."""

    own: fields.OneToOneRelation[Reader] = fields.OneToOneField(
        "library.Reader", related_name="profile", primary_key=True
    )
    own_id: int
    motto = fields.CharField(max_length=20, default="")


class Desk(DBModel):
    """May be somebody's."""

    id = fields.IntField(primary_key=True)
    reader: fields.OneToOneNullableRelation[Reader] = fields.OneToOneField(
        "library.Reader", related_name="desk", null=True, on_delete=fields.SET_NULL
    )
    reader_id: int | None
    room = fields.IntField(default=0)


class Loan(SoftDelete, Versioned):
    """By the card and the slug, in columns with names of their own; each copy is lent once at a time."""

    id = fields.IntField(primary_key=True)
    reader: fields.ForeignKeyNullableRelation[Reader] = fields.ForeignKeyField(
        "library.Reader", related_name="loans", null=True, to_field="card", source_field="card_no"
    )
    reader_id: str | None
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField(
        "library.Article", related_name="loans", to_field="slug", source_field="slug_of"
    )
    article_id: str
    copy_no = fields.IntField(default=1)

    class Meta:
        unique_together = (("reader_id", "article_id", "copy_no", "living"),)
