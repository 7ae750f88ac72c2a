"""What is written down as it happens. Migrated with the main tables, in a file of its own for its size."""

from tortoise import fields

from sanicbase import DBModel


class AccessRecord(DBModel):
    """One reading of an article. It holds a plain key: records outlive what they tell of."""

    id = fields.BigIntField(primary_key=True)
    article_id = fields.IntField(db_index=True)
    read_at = fields.DatetimeField()

    class Meta:
        table = "xi_access_record"
