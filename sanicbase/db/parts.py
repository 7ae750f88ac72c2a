"""Parts that a model is mixed from: when a row was written, deletion that can be taken back, a count of its changes,
and the token of who wrote it.

Type checkers see no Meta here but DBModel's: with one in each, a model could not be mixed from two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tortoise import fields, timezone
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError
from tortoise.fields.base import DatabaseDefault
from tortoise.queryset import QuerySet

from sanicbase.db.errors import StaleTokenError, StaleVersionError
from sanicbase.db.keys import attributes
from sanicbase.db.model import DBModel, Using, Where
from sanicbase.db.queryset import DBQuerySet
from sanicbase.db.values import check_known

__all__ = ["Fenced", "SoftDelete", "Timestamps", "Versioned"]


class Timestamps(DBModel):
    """`created_at` and `updated_at`, in UTC; every way to update a row moves the second on."""

    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    if not TYPE_CHECKING:

        class Meta:
            abstract = True


class SoftDelete(DBModel):
    """Deleted rows are marked and hidden from every query; only `with_deleted` and joins from other models see them.

    A deleted row is out of the way of a new one with the same values, on every database, when `living` is part of the
    unique set: `unique_together = (("slug", "living"),)`. It is null in deleted rows, and nulls are never equal.
    """

    living = fields.BooleanField(null=True, default=True)
    deleted_at = fields.DatetimeField(null=True)

    if not TYPE_CHECKING:

        class Meta:
            abstract = True

    @classmethod
    def with_deleted(cls) -> QuerySet[Self]:
        """All rows, the deleted ones as well."""
        return DBQuerySet(cls)

    async def delete(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Mark the row as deleted; nothing happens when it is already."""
        if not self._saved_in_db:
            raise OperationalError("This row was never saved, so it cannot be deleted.")
        mark = self._mark_of_deletion()
        await self._pre_delete(using_db)
        await type(self).filter(pk=self.pk).using_db(using_db).delete()
        self.__dict__.update(mark)
        await self._post_delete(using_db)

    async def restore(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Take the deletion back. Raises IntegrityError when another row has taken its place."""
        mark: dict[str, Any] = {"living": True, "deleted_at": None}
        await type(self).with_deleted().filter(pk=self.pk).using_db(using_db).update(**mark)
        self.__dict__.update(mark)

    async def erase(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Delete the row for good."""
        await super().delete(using_db)

    @classmethod
    def _shown(cls) -> dict[str, Any]:
        return {"living": True}

    @classmethod
    def _mark_of_deletion(cls) -> dict[str, Any]:
        return {"living": None, "deleted_at": timezone.now()}


class Guarded(DBModel):
    """What has a condition on its updates: `save` puts the check and the write into one statement."""

    if not TYPE_CHECKING:

        class Meta:
            abstract = True

    async def save(
        self,
        using_db: Using = None,
        update_fields: Iterable[str] | None = None,
        force_create: bool = False,
        force_update: bool = False,
    ) -> None:
        """Create the row, or update it if it may be. Raises StaleVersionError, or StaleTokenError."""
        if force_create or not (self._saved_in_db or force_update):
            await super().save(using_db, update_fields, force_create, force_update)
            return
        names = self._names_to_write(update_fields)
        await self._pre_save(using_db, names)
        expected = type(self).filter(pk=self.pk, **self._condition()).using_db(using_db)
        if not await expected.update(**{name: getattr(self, name) for name in names}):
            raise self._refusal()
        for name in self._versions():
            setattr(self, name, getattr(self, name) + 1)
        await self._post_save(using_db, False, names)

    def _names_to_write(self, update_fields: Iterable[str] | None) -> list[str]:
        if update_fields is not None:
            check_known(type(self), update_fields := list(update_fields))
            return attributes(type(self), update_fields)
        given = {*self._auto_now(), *self._versions(), self._meta.pk_attr}
        return [
            name
            for name in self._meta.fields_db_projection
            if name not in given and not isinstance(getattr(self, name), DatabaseDefault)
        ]

    def _condition(self) -> dict[str, Any]:
        """Override to say what must hold of the row, besides what other parts say."""
        return {}

    def _refusal(self) -> StaleVersionError:
        """Override to say what is raised when it does not hold."""
        return StaleVersionError(f"{type(self).__name__} {self.pk} was changed or deleted since it was read.")


class Versioned(Guarded):
    """`version` counts a row's changes, and `save` refuses to write over one that it has not seen.

    `save` and `bulk_update` raise StaleVersionError, which HTTP answers with 409, when the row was changed or deleted
    since it was read; nothing is written then. Updates of a queryset do not ask: they count only.
    """

    version = fields.IntField(default=1)

    if not TYPE_CHECKING:

        class Meta:
            abstract = True

    def _condition(self) -> dict[str, Any]:
        return {**super()._condition(), "version": self.version}

    @classmethod
    def _versions(cls) -> tuple[str, ...]:
        return ("version",)

    @classmethod
    async def _check_versions(cls, rows: Sequence[Any], connection: BaseDBAsyncClient) -> None:
        # Not values_list: Tortoise drops the FOR UPDATE there.
        found = cls.filter(pk__in=[row.pk for row in rows]).only(cls._meta.pk_attr, "version").using_db(connection)
        if connection.capabilities.support_for_update:
            found = found.select_for_update()
        versions = {row.pk: row.version for row in await found}
        for row in rows:
            if versions.get(row.pk) != row.version:
                raise StaleVersionError(f"{cls.__name__} {row.pk} was changed or deleted since it was read.")


class Fenced(Guarded):
    """`fence` is the highest token that a row was written with, and whoever comes with a lower one is refused.

        async with lock("report 7") as held:
            ...
            await Report.update_fenced({"id": 7}, {"body": body}, token=held.token)

    A holder that was stopped and continues after its lock went to another one cannot write over what that has
    written: StaleTokenError, which HTTP answers with 409. `save` asks as well, with the token that is set as `fence`,
    or the one that was read. Updates of a queryset, upserts and bulk writes do not ask, so they are not for what the
    fence protects; nor can it refuse a new row, which a unique column does. See Martin Kleppmann, How to do
    distributed locking, https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
    """

    fence = fields.BigIntField(default=0)

    if not TYPE_CHECKING:

        class Meta:
            abstract = True

    @classmethod
    async def update_fenced(cls, where: Where, values: Mapping[str, Any], *, token: int, using_db: Using = None) -> int:
        """Update the rows that meet a condition, all of them or none, and return how many they were.

        Raises StaleTokenError when one of them was written with a higher token.
        """
        async with cls._connection(using_db)._in_transaction() as connection:
            rows = cls._where(where, connection)
            count = await rows.filter(fence__lte=token).update(**{**values, "fence": token})
            higher = rows.filter(fence__gt=token).only(cls._meta.pk_attr)
            if connection.capabilities.support_for_update:  # a locking read sees the latest, at any isolation
                higher = higher.select_for_update()
            if (row := await higher.first()) is not None:
                raise cls._overtaken(row.pk)
        return count

    def _names_to_write(self, update_fields: Iterable[str] | None) -> list[str]:
        names = super()._names_to_write(update_fields)
        return names if "fence" in names else [*names, "fence"]

    def _condition(self) -> dict[str, Any]:
        return {**super()._condition(), "fence__lte": self.fence}

    def _refusal(self) -> StaleVersionError:
        return (
            super()._refusal() if self._versions() else self._overtaken(self.pk)
        )  # which of them it was, nobody knows

    @classmethod
    def _overtaken(cls, pk: object) -> StaleTokenError:
        return StaleTokenError(f"{cls.__name__} {pk} was written with a higher token since, or changed or deleted.")
