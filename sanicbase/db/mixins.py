"""Mixins for models: timestamps, soft deletion, optimistic locking by a version, and fencing tokens.

Type checkers see only DBModel's Meta here: with one in each mixin, a model could not combine two of them.
`_no_comments` keeps Tortoise from parsing the source of the class for comments on its fields, which takes milliseconds.
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
from sanicbase.db.values import check_field_names

__all__ = ["Fenced", "SoftDelete", "Timestamps", "Versioned"]


class Timestamps(DBModel):
    """`created_at` and `updated_at`, in UTC; every update sets the second."""

    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True


class SoftDelete(DBModel):
    """Soft deletion: deleted rows are marked and hidden; only `with_deleted` and joins from other models see them.

    For uniqueness among rows that are not deleted, on every database, add `living` to the unique set:
    `unique_together = (("slug", "living"),)`. It is NULL in deleted rows, and NULLs are never equal.
    """

    living = fields.BooleanField(null=True, default=True)
    deleted_at = fields.DatetimeField(null=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    @classmethod
    def with_deleted(cls) -> QuerySet[Self]:
        """All rows, deleted ones included."""
        return DBQuerySet(cls)

    async def delete(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Mark the row as deleted, unless it is already."""
        if not self._saved_in_db:
            raise OperationalError("This row is not saved, so it cannot be deleted.")
        values = self._deletion_values()
        await self._pre_delete(using_db)
        await type(self).filter(pk=self.pk).using_db(using_db).delete()
        self.__dict__.update(values)
        await self._post_delete(using_db)

    async def restore(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Undo the deletion. Raises IntegrityError when another row has the same unique values now."""
        values: dict[str, Any] = {"living": True, "deleted_at": None}
        await type(self).with_deleted().filter(pk=self.pk).using_db(using_db).update(**values)
        self.__dict__.update(values)

    async def erase(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Delete the row permanently."""
        await super().delete(using_db)

    @classmethod
    def _visible_filter(cls) -> dict[str, Any]:
        return {"living": True}

    @classmethod
    def _deletion_values(cls) -> dict[str, Any]:
        return {"living": None, "deleted_at": timezone.now()}


class ConditionalSave(DBModel):
    """The base of mixins with a condition on updates: `save` checks and writes in one statement."""

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    async def save(
        self,
        using_db: Using = None,
        update_fields: Iterable[str] | None = None,
        force_create: bool = False,
        force_update: bool = False,
    ) -> None:
        """Create the row, or update it if its condition holds. Raises StaleVersionError or StaleTokenError."""
        if force_create or not (self._saved_in_db or force_update):
            await super().save(using_db, update_fields, force_create, force_update)
            return
        names = self._fields_to_write(update_fields)
        await self._pre_save(using_db, names)
        expected = type(self).filter(pk=self.pk, **self._save_condition()).using_db(using_db)
        if not await expected.update(**{name: getattr(self, name) for name in names}):
            raise self._stale_error()
        for name in self._version_fields():
            setattr(self, name, getattr(self, name) + 1)
        await self._post_save(using_db, False, names)

    def _fields_to_write(self, update_fields: Iterable[str] | None) -> list[str]:
        if update_fields is not None:
            check_field_names(type(self), update_fields := list(update_fields))
            return attributes(type(self), update_fields)
        given = {*self._auto_now_fields(), *self._version_fields(), self._meta.pk_attr}
        return [
            name
            for name in self._meta.fields_db_projection
            if name not in given and not isinstance(getattr(self, name), DatabaseDefault)
        ]

    def _save_condition(self) -> dict[str, Any]:
        """Override to add filters that the row must match."""
        return {}

    def _stale_error(self) -> StaleVersionError:
        """Override to return the error for a row that does not match."""
        return StaleVersionError(f"{type(self).__name__} {self.pk} was changed or deleted since it was read.")


class Versioned(ConditionalSave):
    """Optimistic locking: `version` counts a row's changes, and `save` does not overwrite an unseen change.

    `save` and `bulk_update` raise StaleVersionError, which HTTP answers with 409, when the row was changed or deleted
    since it was read; nothing is written then. Updates of a queryset increment the version without a check.
    """

    version = fields.IntField(default=1)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    def _save_condition(self) -> dict[str, Any]:
        return {**super()._save_condition(), "version": self.version}

    @classmethod
    def _version_fields(cls) -> tuple[str, ...]:
        return ("version",)

    @classmethod
    async def _check_versions(cls, rows: Sequence[Any], connection: BaseDBAsyncClient) -> None:
        # Not values_list: Tortoise drops the FOR UPDATE there.
        query = cls.filter(pk__in=[row.pk for row in rows]).only(cls._meta.pk_attr, "version").using_db(connection)
        if connection.capabilities.support_for_update:
            query = query.select_for_update()
        versions = {row.pk: row.version for row in await query}
        for row in rows:
            if versions.get(row.pk) != row.version:
                raise StaleVersionError(f"{cls.__name__} {row.pk} was changed or deleted since it was read.")


class Fenced(ConditionalSave):
    """Fencing: `fence` is the highest token that wrote the row, and writes with a lower token are refused.

        async with lock("report 7") as held:
            ...
            await Report.update_fenced({"id": 7}, {"body": body}, token=held.token)

    A holder that was stopped, and continues after the lock went to another holder, cannot overwrite the data of that
    one: StaleTokenError, which HTTP answers with 409. `save` checks as well, with the token that was set as `fence` or
    read. Updates of a queryset, upserts and bulk writes do not check, so do not use them for protected data. The fence
    cannot refuse a new row; a unique column does. See Martin Kleppmann, How to do distributed locking,
    https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
    """

    fence = fields.BigIntField(default=0)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    @classmethod
    async def update_fenced(cls, where: Where, values: Mapping[str, Any], *, token: int, using_db: Using = None) -> int:
        """Update the rows that match a condition atomically, and return their number.

        Raises StaleTokenError when one of them was written with a higher token.
        """
        async with cls._connection(using_db)._in_transaction() as connection:
            rows = cls._matching(where, connection)
            count = await rows.filter(fence__lte=token).update(**{**values, "fence": token})
            higher = rows.filter(fence__gt=token).only(cls._meta.pk_attr)
            if connection.capabilities.support_for_update:  # a locking read sees the latest rows at any isolation
                higher = higher.select_for_update()
            if (row := await higher.first()) is not None:
                raise cls._stale_token_error(row.pk)
        return count

    def _fields_to_write(self, update_fields: Iterable[str] | None) -> list[str]:
        names = super()._fields_to_write(update_fields)
        return names if "fence" in names else [*names, "fence"]

    def _save_condition(self) -> dict[str, Any]:
        return {**super()._save_condition(), "fence__lte": self.fence}

    def _stale_error(self) -> StaleVersionError:
        return (
            super()._stale_error() if self._version_fields() else self._stale_token_error(self.pk)
        )  # which condition failed is unknown

    @classmethod
    def _stale_token_error(cls, pk: object) -> StaleTokenError:
        return StaleTokenError(f"{cls.__name__} {pk} was written with a higher token since, or changed or deleted.")
