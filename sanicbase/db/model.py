"""DBModel: a Tortoise model with the methods that services need every day, the same on every database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.context import get_current_context
from tortoise.exceptions import OperationalError
from tortoise.expressions import Q
from tortoise.fields.base import DatabaseDefault
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.conversion import CONVERSION_ERRORS, EXPRESSIONS, native_type, to_column_type
from sanicbase.db.errors import DeadlockError, NotFoundError, SerializationError
from sanicbase.db.instances import instance_factory
from sanicbase.db.key_select import ReadByKey, is_stored_key, key_select
from sanicbase.db.keys import attribute, attributes, check_unique_together, normalize_values, pk_field, unique_sets
from sanicbase.db.observers import Row, is_deletion_watched, is_watched
from sanicbase.db.queryset import BATCH, DBManager, DBQuerySet
from sanicbase.db.transaction import MAX_PAUSE, PAUSE
from sanicbase.db.upsert import Upsert
from sanicbase.db.values import assignable_values, check_field_names, convert_values, is_valid_value, prepare_field
from sanicbase.db.writes import watched_upsert, watched_write
from sanicbase.errors import InvalidValue, SanicBaseError

__all__ = ["DBModel", "Using", "Where"]

Where = Q | Mapping[str, Any]
Using = BaseDBAsyncClient | None

T = TypeVar("T")

MAX_ATTEMPTS = 10  # of an upsert with conflicts
MAX_OR_CONDITIONS = 200  # SQLite allows a depth of 1000


class DBModel(ReadByKey):
    """The base of a service's models, with all features of Tortoise's Model.

        class Article(Timestamps, SoftDelete):
            slug = fields.CharField(max_length=80)

            class Meta:
                unique_together = (("slug", "living"),)

    All methods join the open transaction; `using_db` selects another connection. Values are validated before they are
    written: InvalidValue names a field that is unknown, or whose value one of the databases could not store. A
    condition is a dictionary of filters, or a `Q`.

    In every method, condition, order and unique set, a foreign key is named by its relation or its column, `author` or
    `author_id`, and its value is a related object or its key.
    """

    _no_comments = True  # on fields, for which Tortoise would parse the source of this class

    class Meta:
        abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        meta = cls._meta
        if "using_db" in meta.fields_map:
            raise SanicBaseError(
                f"{cls.__name__}.using_db has the name of an option of every method. Give the field another name, and "
                "`source_field` the name of its column."
            )
        if not meta.abstract:
            check_unique_together(cls)
        meta._default_ordering = tuple((attribute(cls, name), order) for name, order in meta._default_ordering)
        for field in meta.fields_map.values():
            prepare_field(field)
        if not hasattr(getattr(cls, "Meta", None), "manager"):
            meta.manager = DBManager()
        elif not isinstance(meta.manager, DBManager):
            raise SanicBaseError(f"{cls.__name__}.Meta.manager must be an instance of a subclass of DBManager.")

    def __init__(self, **values: object) -> None:
        values = assignable_values(type(self), values)
        fields_map = self._meta.fields_map
        for name in values.keys() & self._meta.fields_db_projection.keys():
            if type(value := values[name]) is not native_type(type(fields_map[name])):
                values[name] = to_column_type(fields_map[name], value)
        try:
            super().__init__(**values)
        except CONVERSION_ERRORS:
            convert_values(type(self), values)  # names the field
            raise

    def __setattr__(self, key: str, value: object) -> None:
        super().__setattr__(key, value)
        relation: Any = getattr(self._meta.fields_map.get(key), "reference", None)
        if relation is not None:  # the cached related object belongs to the old key
            name = f"_{relation.model_field_name}"
            related = self.__dict__.get(name)
            if related is not None and getattr(related, relation.to_field, None) != value:
                del self.__dict__[name]

    def update_from_dict(self, data: dict[str, Any]) -> Self:
        """Set several fields without saving. Raises InvalidValue, and then sets none."""
        values = convert_values(type(self), data)
        for name, value in assignable_values(type(self), data).items():
            if isinstance(value, Model):  # cached with its key
                del values[attribute(type(self), name)]
                values[name] = value
        return super().update_from_dict(values)

    async def refresh_from_db(self, fields: Iterable[str] | None = None, using_db: Using = None) -> None:
        """Reload the given fields, or all; hidden rows included."""
        if not self._saved_in_db:
            raise OperationalError("This row is not saved, so it cannot be refreshed.")
        names = attributes(type(self), self._meta.fields_db_projection if fields is None else fields)
        row = await DBQuerySet(type(self)).using_db(using_db).only(*names).get(pk=self.pk)
        for name in names:
            setattr(self, name, getattr(row, name))

    async def save(
        self,
        using_db: Using = None,
        update_fields: Iterable[str] | None = None,
        force_create: bool = False,
        force_update: bool = False,
    ) -> None:
        """Create the row, or update it."""
        if update_fields is not None:
            check_field_names(type(self), update_fields := list(update_fields))
            update_fields = attributes(type(self), update_fields)
        if not is_watched(type(self)):
            await self._save(using_db, update_fields, force_create, force_update)
            return
        self._convert_attributes(update_fields, check=False)
        async with watched_write(type(self), self._connection(using_db)) as write:
            before: Sequence[Row] = ()
            if self._saved_in_db and self.pk is not None:
                before = await write.lock_rows(DBQuerySet(type(self)).filter(pk=self.pk)) or ()
                await write.notify(before)
            await self._save(write.connection, update_fields, force_create, force_update)
            if (after := write.image(self, before)) not in before:
                await write.notify([after])

    async def delete(self, using_db: Using = None) -> None:
        """Delete the row permanently."""
        if not is_deletion_watched(type(self)):
            await super().delete(using_db)
            return
        async with watched_write(type(self), self._connection(using_db)) as write:
            await write.notify_deletion(await write.lock_rows(DBQuerySet(type(self)).filter(pk=self.pk)))
            await super().delete(write.connection)

    async def _pre_save(self, using_db: Using = None, update_fields: Iterable[str] | None = None) -> None:
        """Called by Tortoise after asynchronous defaults are set, and before the statement."""
        await super()._pre_save(using_db, update_fields)
        self._convert_attributes(update_fields, check=False)

    async def _save(
        self, using_db: Using, update_fields: Iterable[str] | None, force_create: bool, force_update: bool
    ) -> None:
        try:
            await super().save(using_db, update_fields, force_create, force_update)
        except CONVERSION_ERRORS:
            self._check_attributes()
            raise

    @classmethod
    async def get_by_pk(cls, pk: object, *, using_db: Using = None) -> Self | None:
        """The row with that primary key, None when there is none."""
        if not is_stored_key(cls, pk):
            if isinstance(pk, (Model, *EXPRESSIONS)):
                return await cls._get_single({"pk": pk}, using_db)
            if not is_valid_value(pk_field(cls), pk):
                return None
        connection = using_db or cls._choose_db()
        if (select := key_select(cls, pk, connection)) is None:
            return await cls.get_or_none(using_db=using_db, pk=pk)
        row: Self | None = await select.get_or_none(cls, pk, connection)
        return row

    @classmethod
    async def get_by_pk_or_fail(cls, pk: object, *, using_db: Using = None) -> Self:
        """The row with that primary key. Raises NotFoundError, which HTTP answers with 404."""
        if (row := await cls.get_by_pk(pk, using_db=using_db)) is None:
            raise NotFoundError(f"{cls.__name__} {pk} does not exist.")
        return row

    @classmethod
    async def get_by_unique(cls, /, *, using_db: Using = None, **values: object) -> Self | None:
        """The row with the values of a unique field or set; None when there is none."""
        cls._check_unique(values)
        if None in values.values():  # NULLs are never equal
            return None
        return await cls._get_single(values, using_db)

    @classmethod
    async def update_by_pk(cls, pk: object, /, *, using_db: Using = None, **values: Any) -> bool:
        """Update the row with that primary key; False when there is none."""
        values = convert_values(cls, values)  # validated also when there is no row
        return cls._are_valid({"pk": pk}) and await cls._matching({"pk": pk}, using_db).update(**values) > 0

    @classmethod
    async def update_by(cls, where: Where, /, *, using_db: Using = None, **values: Any) -> int:
        """Update the rows that match a condition, and return their number."""
        return await cls._matching(where, using_db).update(**values)

    @classmethod
    async def delete_by_pk(cls, pk: object, *, using_db: Using = None) -> bool:
        """Delete the row with that primary key; False when there is none."""
        return cls._are_valid({"pk": pk}) and await cls.delete_by({"pk": pk}, using_db=using_db) > 0

    @classmethod
    async def delete_by(cls, where: Where, *, using_db: Using = None) -> int:
        """Delete the rows that match a condition, and return their number."""
        return await cls._matching(where, using_db).delete()

    @classmethod
    async def update_or_create(
        cls, defaults: dict[str, Any] | None = None, using_db: Using = None, **kwargs: Any
    ) -> tuple[Self, bool]:
        """Update the row that matches `kwargs`, or create it; the second value is whether it was created.

        Raises SerializationError when other transactions keep creating and deleting the row.
        """
        try:
            return await super().update_or_create(defaults, using_db, **kwargs)
        except OperationalError as exc:
            if isinstance(exc, SanicBaseError):
                raise
            raise SerializationError(
                f"Other transactions create and delete this {cls.__name__} at the same time."
            ) from exc

    @classmethod
    async def upsert(
        cls,
        values: Mapping[str, object],
        *,
        on: Sequence[str],
        update: Collection[str] | None = None,
        using_db: Using = None,
    ) -> Self:
        """Insert a row, or update the one with the same values of the unique fields `on`; return the row.

        `update` names the fields to update in an existing row, by default all of `values` except `on`. It is one
        statement, so concurrent callers do not conflict. On MySQL and MariaDB it raises SanicBaseError when `values`
        have a second unique key, since any key would match there.
        """
        cls._check_unique(on)
        row, on = cls(**values), attributes(cls, on)
        row._convert_attributes()
        names = [name for name in attributes(cls, values) if name not in on] if update is None else update
        row._check_not_null(on)
        conflicting = cls.filter(**{name: getattr(row, name) for name in on})

        async def write() -> Self:
            async with cls._connection(using_db)._in_transaction() as connection:
                upsert = Upsert(cls, connection, on=on, update=names)
                async with watched_upsert(cls, connection, conflicting, changes=upsert.changes):
                    await upsert.write([row])
                return await conflicting.using_db(connection).get()

        return await cls._retry(write, using_db)

    @classmethod
    async def bulk_upsert(
        cls,
        rows: Iterable[Self],
        *,
        on: Sequence[str],
        update: Collection[str] | None = None,
        batch_size: int = BATCH,
        using_db: Using = None,
    ) -> int:
        """Upsert all rows atomically, and return their number.

        Of several rows with the same values of `on` the last one wins. `update` is by default all fields except `on`,
        the primary key and columns with `auto_now_add`. See `upsert`.
        """
        cls._check_unique(on)
        on = attributes(cls, on)
        last: dict[tuple[Any, ...], Self] = {}
        for row in rows:
            row._convert_attributes()
            row._check_not_null(on)
            last[tuple(getattr(row, name) for name in on)] = row
        if not last:
            return 0

        async def write() -> int:
            async with cls._connection(using_db)._in_transaction() as connection:
                upsert = Upsert(cls, connection, on=on, update=update)
                waiting = list(last.values())
                for start in range(0, len(waiting), batch_size):
                    batch = waiting[start : start + batch_size]
                    async with watched_upsert(cls, connection, cls._existing(batch, on), changes=upsert.changes):
                        await upsert.write(batch)
            return len(last)

        return await cls._retry(write, using_db)

    @classmethod
    async def _retry(cls, write: Callable[[], Awaitable[T]], using_db: Using) -> T:
        """Run a watched write, and retry it after a conflict unless a transaction is open."""
        if not is_watched(cls):
            return await write()
        client = cls._connection(using_db)
        pause = PAUSE
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await write()
            except (DeadlockError, SerializationError):
                if isinstance(client, TransactionalDBClient):
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  (no secret)
            pause = min(2 * pause, MAX_PAUSE)
        return await write()

    @classmethod
    def _existing(cls, rows: Sequence[Self], on: Sequence[str]) -> QuerySet[Self] | None:
        """The existing rows with the same values of `on`; None when they are too many for one statement."""
        if len(on) == 1:
            return cls.filter(**{f"{on[0]}__in": [getattr(row, on[0]) for row in rows]})
        if len(rows) > MAX_OR_CONDITIONS:
            return None
        return cls.filter(Q(*(Q(**{name: getattr(row, name) for name in on}) for row in rows), join_type=Q.OR))

    def _check_not_null(self, on: Iterable[str]) -> None:
        """Raise InvalidValue when the row has no value in a field of `on`."""
        for name in on:
            value = getattr(self, name)
            if value is None or isinstance(value, DatabaseDefault):
                raise InvalidValue(
                    f"{name!r} has no value, so an upsert on it finds no row: nulls are never equal.",
                    path=name,
                    code="null",
                )

    @classmethod
    async def _get_single(cls, values: Mapping[str, object], using_db: Using) -> Self | None:
        return await cls.get_or_none(using_db=using_db, **values) if cls._are_valid(values) else None

    @classmethod
    def _are_valid(cls, values: Mapping[str, object]) -> bool:
        """Whether a row could have these values: a database may refuse a query with others."""
        known = normalize_values(cls, values)
        return all(is_valid_value(cls._meta.fields_map[name], value) for name, value in known.items())

    @classmethod
    def _matching(cls, where: Where, using_db: Using) -> DBQuerySet[Self]:
        condition = where if isinstance(where, Q) else Q(**where)
        if not condition.children and not condition.filters:
            raise SanicBaseError(f"The condition is empty. For every row, write {cls.__name__}.all().")
        queryset: QuerySet[Self] = cls.filter(condition).using_db(using_db)
        return queryset  # type: ignore[return-value]

    @classmethod
    def _init_from_db(cls, **kwargs: Any) -> Self:
        factory = instance_factory(cls)
        if factory is None or not factory.fits(kwargs):
            return super()._init_from_db(**kwargs)
        return factory.instance(cls, *factory.states([kwargs]))

    @classmethod
    def _db_queryset(cls, using_db: Using = None, for_write: bool = False) -> QuerySet[Self]:
        """Tortoise's, but the connection is chosen when the query runs: only then it is known whether it writes."""
        queryset: QuerySet[Self] = cls._meta.manager.get_queryset()
        return queryset if using_db is None else queryset.using_db(using_db)

    @classmethod
    def _choose_db(cls, for_write: bool = False) -> BaseDBAsyncClient:
        """Tortoise's, in half of its time where there are no routers."""
        context, name = get_current_context(), cls._meta.default_connection
        if context is None or context.routers or name is None:
            return super()._choose_db(for_write)
        return context.connections.get(name)

    @classmethod
    def _connection(cls, using_db: Using) -> BaseDBAsyncClient:
        return using_db or cls._choose_db(for_write=True)

    @classmethod
    def _check_unique(cls, names: Collection[str]) -> None:
        unique = unique_sets(cls, hidden_by=cls._visible_filter())
        if frozenset(attributes(cls, names)) not in unique:
            known = ", ".join(" + ".join(sorted(names)) for names in sorted({*unique, frozenset({"pk"})}, key=sorted))
            raise SanicBaseError(f"{' + '.join(names)} is not unique in {cls.__name__}. Unique sets: {known}.")
