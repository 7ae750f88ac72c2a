"""Tables of events. They are migrated with the main tables, and have a file of their own because they are large."""

from tortoise import fields

from sanicbase import DBModel


class AccessRecord(DBModel):
    """One read of an article. The key is a plain column because records outlive their articles."""

    id = fields.BigIntField(primary_key=True)
    article_id = fields.IntField(db_index=True)
    read_at = fields.DatetimeField()

    class Meta:
        table = "xi_access_record"
