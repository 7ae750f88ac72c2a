"""The table of idempotency keys: a row for each key, with the response that belongs to it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from tortoise import fields, timezone

from sanicbase.db.errors import DeadlockError, IntegrityError, SerializationError
from sanicbase.db.model import DBModel
from sanicbase.db.routing import use_primary

__all__ = ["IdempotencyRecord", "KeyTaken"]

DIGEST = 64  # hexadecimal digits


class KeyTaken(Exception):
    """Another request has just claimed the key."""


class IdempotencyRecord(DBModel):
    """A key that a client sent, and the response to its request. Subclass it in a file of MODEL_LIST, so that the
    service's migrations create its table:

        class IdempotencyKey(IdempotencyRecord):
            class Meta:
                table = "shop_idempotency_key"

    Without a `status` the request was begun, and its outcome is unknown unless it is still being handled.
    """

    id = fields.CharField(max_length=DIGEST, primary_key=True)
    """The digest of the client and its key."""
    fingerprint = fields.CharField(max_length=DIGEST)
    """The digest of the request."""
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField(db_index=True)
    status = fields.IntField(null=True)
    headers: Any = fields.JSONField(null=True)
    body = fields.BinaryField(null=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    @classmethod
    def connection_name(cls) -> str:
        """The connection of the table, whose transactions records are part of."""
        return str(cls._connection(None).connection_name)

    @classmethod
    def table(cls) -> str:
        """The name of the table."""
        return str(cls._meta.db_table)

    @classmethod
    async def find(cls, key: str) -> Self | None:
        """The record of a key, read from the primary; None when there is none, or it has expired."""
        with use_primary():
            record = await cls.get_by_pk(key)
        if record is None or record.expires_at > timezone.now():
            return record
        await cls.filter(id=key, expires_at=record.expires_at).delete()  # another request may have replaced it
        return None

    @classmethod
    async def claim(cls, key: str, fingerprint: str, ttl: float) -> None:
        """Insert a record, in the open transaction if there is one. Raises KeyTaken, DatabaseTimeout while a
        transaction that has inserted it is open."""
        try:
            await cls.create(id=key, fingerprint=fingerprint, expires_at=timezone.now() + timedelta(seconds=ttl))
        except (IntegrityError, DeadlockError, SerializationError) as exc:
            raise KeyTaken from exc

    @classmethod
    async def answer(cls, key: str, status: int, headers: list[list[str]], body: bytes) -> None:
        """Add the response to the record of a key."""
        await cls.filter(id=key).update(status=status, headers=headers, body=body)

    @classmethod
    async def release(cls, key: str) -> None:
        """Delete the record of a request that has done nothing."""
        await cls.filter(id=key).delete()

    @classmethod
    async def purge(cls, limit: int) -> int:
        """Delete expired records, the oldest first and at most so many. Returns their number."""
        expired = cls.filter(expires_at__lte=timezone.now()).order_by("expires_at").limit(limit)
        with use_primary():
            keys = [record.id for record in await expired.only("id")]
        return await cls.filter(id__in=keys, expires_at__lte=timezone.now()).delete() if keys else 0
