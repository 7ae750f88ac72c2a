"""RCModel: a pydantic model that is read through Redis, and never older than the last write that returned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID
from weakref import WeakSet

from pydantic import ConfigDict
from tortoise.models import Model

from sanicbase.cache.loaded_entry import LoadedEntry, loaded_by
from sanicbase.cache.local import NOT_LOCAL
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.options import KeyFields, Options, parse_options
from sanicbase.cache.saving import (
    ExpectedVersion,
    changed_columns,
    lock_row,
    require_version,
    rows_with_key,
    update_row,
)
from sanicbase.cache.stats import Stats
from sanicbase.cache.store import Store, key_error
from sanicbase.db import DBModel
from sanicbase.db.engine.transactions import may_be_in_transaction
from sanicbase.db.errors import NotFoundError
from sanicbase.db.keys import attribute, normalize_values
from sanicbase.errors import NotOpenError, SanicBaseError

__all__ = ["Key", "RCModel", "cache_models"]

T = TypeVar("T")

Part = int | str | UUID | date | Decimal | Model
Key = Part | tuple[Part, ...]
"""The key of an entry; a tuple where it has several fields. A related object stands for its key."""

cache_models: WeakSet[type[RCModel]]


class RCModel(LoadedEntry):
    """A pydantic model that is read through Redis.

        class ArticleRC(RCModel):
            id: int
            slug: str

            class Meta:
                source = Article        # a DBModel, the table that is cached
                key = "id"              # the source's primary key by default; a tuple for several fields
                unique = ("slug",)      # fields, or tuples of fields, for `get_by`
                ttl = 3600              # seconds that an entry lives, minus up to a tenth
                negative_ttl = 60       # seconds that a missing row is remembered; 0 does not remember it
                connection = "default"  # the name of the Redis
                local = False           # whether each process also keeps entries in its memory

    **After a write has returned, no `get` that starts later returns an older value**, in any process of the service.
    This holds for writes of this class and for all writes through the source's model. Inside a `transaction()` others
    see the old value until the commit. Call `invalidate` after raw SQL. With `local`, other processes usually learn of
    a write within milliseconds, and return the old value for CACHE_LOCAL_MAX_LAG seconds at most.

    A field is the column of a foreign key, `author_id`, not the relation. The Meta and the key accept either name.

    Instead of a source, a class can define `load`. `watches` names the models whose writes change its result, with the
    field that holds the key: `watches = {Comment: "article_id"}`. A class with neither is stored in Redis only; its
    `ttl` is None by default.

    Raises SanicBaseError for a class with an invalid Meta, and NotOpenError outside a lifespan.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)
    _options: ClassVar[Options]
    _opened: ClassVar[ModelCache | Store | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        meta = cls.__dict__.get("Meta")
        if meta is None:
            raise SanicBaseError(f"{cls.__name__} has no `class Meta`. Declare one with a source, or a `load` method.")
        cls._options = parse_options(cls, meta, loads=cls._loads())
        cls._opened = None
        cache_models.add(cls)

    @classmethod
    async def load(cls, keys: Sequence[Any]) -> Iterable[Self]:
        """Override to load the entries of these keys, in place of a source."""
        return ()

    @classmethod
    async def get(cls, key: Key, *, fresh: bool = False) -> Self | None:
        """The entry with that key; None when there is none. A hit is one request to Redis.

        A class with `local` answers from the memory of the process if it can, unless `fresh` is set.
        """
        if isinstance(opened := cls._opened, ModelCache) and (not may_be_in_transaction() or not opened.transaction()):
            if opened.is_local and not fresh and (local := opened.find_local(key)) is not NOT_LOCAL:
                in_memory: Self | None = local
                return in_memory
            place = opened.locate(key)
            entry: Self | None = None if place is None else await opened.entries.read(*place)
            return entry
        values = cls._options.key.values(key)
        return None if values is None else (await cls._read([values]))[0]

    @classmethod
    async def get_or_fail(cls, key: Key, *, fresh: bool = False) -> Self:
        """The entry with that key, read as by `get`. Raises NotFoundError, which HTTP answers with 404."""
        if (entry := await cls.get(key, fresh=fresh)) is None:
            raise NotFoundError(f"{cls.__name__} {key} does not exist.")
        return entry

    @classmethod
    async def get_many(cls, keys: Sequence[Key], *, fresh: bool = False) -> list[Self | None]:
        """The entries in the order of the keys; None where there is none. Each is read as by `get`.

        One request to Redis for every 100 keys, and one query for the missing ones. Raises the error of a load.
        """
        if isinstance(opened := cls._opened, ModelCache) and opened.transaction() is None:
            if opened.is_local and not fresh:
                return await cls._get_many_locally(opened, keys)
            places = opened.locate_all(keys)
            known = [place for place in places if place]
            results: list[Self | None] = await opened.entries.read_many(known)
            return results if len(known) == len(places) else _in_place(results, places)
        values = [cls._options.key.values(key) for key in keys]
        possible = [parts for parts in values if parts is not None]
        return _in_place(await cls._read(possible) if possible else [], values)

    @classmethod
    async def get_by(cls, /, **unique: Part) -> Self | None:
        """The entry with these values of a unique set: `await ArticleRC.get_by(slug="hello")`.

        A foreign key is named by its relation or its column, and its value is a related object or its key. Texts are
        compared exactly, regardless of the database's collation.
        """
        index, values = cls._unique(unique)
        if values is None:
            return None
        opened = cls._cache()
        if opened.transaction() is not None:
            inside: Self | None = (await opened.read_in_transaction(index, [values]))[0]
            return inside
        entry: Self | None = await opened.get_by_index(index, values)
        return entry

    @classmethod
    async def create(cls, /, **values: Any) -> Self:
        """Create a row, or an entry if there is no source, and return its entry.

        Raises IntegrityError when it exists, and InvalidValue for an invalid value.
        """
        if isinstance(store := cls._open(), Store):
            entry = cls(**values)
            await store.create(entry)
            return entry
        created: Self = store.entry_of(await cls._writable().create(**values))
        return created

    @classmethod
    async def update(cls, key: Key, if_match: ExpectedVersion | None = None, /, **values: Any) -> Self | None:
        """Update some fields of a row, and return its entry; None when there is none.

        Raises as `create`, InvalidValue for another key, which cannot be changed, and StaleVersionError when the row
        has none of the versions of `if_match`, which is an IfMatch of a view.
        """
        if (parts := cls._options.key.values(key)) is None:
            return None
        if isinstance(store := cls._open(), Store):
            changed: Self | None = await store.update(parts, values)
            return changed
        changed_columns = cls._without_key(parts, values)
        if not changed_columns and if_match is None:
            return await cls.get(key)
        source = cls._writable()
        async with source._connection(None)._in_transaction() as connection:
            rows = await rows_with_key(source, cls._options.key, parts, connection)
            rows = await require_version(rows, if_match, connection)
            if changed_columns and not await rows.update(**changed_columns):
                return None
        return await cls.get(key)

    async def save(self) -> Self:
        """Write the fields that differ from their loaded values, and return the new entry.

        All fields of an entry are written if it was not loaded, or if its key was changed. Concurrent changes to other
        fields are kept; the last write to a field wins, unless the class has the `version` of a Versioned source.

        Raises NotFoundError when the row does not exist (without a source the entry is created), StaleVersionError when
        the row has another `version`, StaleTokenError when it was written with a higher `fence`, and SanicBaseError
        when the source is Fenced and the class has no field `fence`.
        """
        if isinstance(store := self._open(), Store):
            await store.save(self)
            return self
        source, key = self._writable(), self._options.key
        parts, values = key.of(self), changed_columns(self, loaded_by(self), source, key)
        async with source._connection(None)._in_transaction() as connection:
            row = await lock_row(source, key, parts, connection)
            if row is None:
                raise NotFoundError(f"{type(self).__name__} {parts} no longer exists.")
            await update_row(self, row, values, connection)
        return await self.get_or_fail(parts if len(parts) > 1 else parts[0])

    @classmethod
    async def delete(cls, key: Key, if_match: ExpectedVersion | None = None) -> bool:
        """Delete the row, or the entry if there is no source; False when it does not exist. `if_match` is that of
        `update`."""
        if (parts := cls._options.key.values(key)) is None:
            return False
        if isinstance(store := cls._open(), Store):
            return await store.delete([parts]) > 0
        source = cls._writable()
        async with source._connection(None)._in_transaction() as connection:
            rows = await rows_with_key(source, cls._options.key, parts, connection)
            return await (await require_version(rows, if_match, connection)).delete() > 0

    @classmethod
    async def invalidate(cls, *keys: Key, **unique: Part) -> None:
        """Invalidate the entries of these keys, or of the values of a unique set, after raw SQL.

        Every `get` that starts after it has returned reads the source; inside a `transaction()`, every `get` that
        starts after its end.
        """
        opened = cls._cache()
        if values := [parts for parts in map(cls._options.key.values, keys) if parts is not None]:
            await opened.invalidate(values)
        if unique:
            index, parts = cls._unique(unique)
            if parts is not None:
                await opened.invalidate_by(frozenset(index.names), parts)

    @classmethod
    async def invalidate_all(cls) -> None:
        """Invalidate all entries of the class in one step, after raw SQL that changed any rows."""
        await cls._cache().invalidate_all()

    @classmethod
    async def refresh(cls, key: Key) -> Self | None:
        """Read the entry from its source, not from Redis, and store it unless a transaction is open."""
        opened = cls._cache()
        if (values := cls._options.key.values(key)) is None:
            return None
        entry: Self | None
        if opened.transaction() is not None:
            entry = (await opened.read_in_transaction(cls._options.key, [values]))[0]
        else:
            entry = await opened.refresh(values)
        return entry

    @classmethod
    async def warm(cls, keys: Iterable[Key], *, batch: int = 500) -> int:
        """Read entries in advance; returns the number of existing ones."""
        remaining, count = list(keys), 0
        for start in range(0, len(remaining), batch):
            count += sum(entry is not None for entry in await cls.get_many(remaining[start : start + batch]))
        return count

    @classmethod
    async def stats(cls) -> Stats:
        """The counters of all processes since Redis was last emptied, up to a second old."""
        return await cls._cache().all_stats()

    @classmethod
    def source(cls) -> type[Model] | None:
        """The model of the table; None for a class without a source."""
        return cls._options.source

    @classmethod
    def key_length(cls) -> int:
        """The number of fields in a key."""
        return len(cls._options.key.names)

    @classmethod
    async def _get_many_locally(cls, opened: ModelCache, keys: Sequence[Key]) -> list[Self | None]:
        entries: list[Any] = [opened.find_local(key) for key in keys]
        unknown = [index for index, entry in enumerate(entries) if entry is NOT_LOCAL]
        if unknown:
            read = await cls.get_many([keys[index] for index in unknown], fresh=True)
            for index, entry in zip(unknown, read, strict=True):
                entries[index] = entry
        return entries

    @classmethod
    async def _read(cls, keys: list[tuple[Any, ...]]) -> list[Self | None]:
        """The entries of a class in Redis only, or those that the caller's transaction sees."""
        opened = cls._open()
        if isinstance(opened, Store):
            return await opened.get_many(keys)
        return await opened.read_in_transaction(cls._options.key, keys)

    @classmethod
    def _open(cls) -> ModelCache | Store:
        if cls._opened is None:
            raise NotOpenError(
                f"{cls.__name__} is not open. Use it inside `async with lifespan(config)`, or in a running service "
                "that has it in `model_rc`."
            )
        return cls._opened

    @classmethod
    def _cache(cls) -> ModelCache:
        opened = cls._open()
        if isinstance(opened, Store):
            raise SanicBaseError(f"{cls.__name__} has no source: it is stored in Redis only.")
        return opened

    @classmethod
    def _writable(cls) -> type[DBModel]:
        source = cls._options.source
        if source is None or not issubclass(source, DBModel):
            raise SanicBaseError(
                f"{cls.__name__} can be written only when its source is a DBModel. Write its source, and call "
                f"{cls.__name__}.invalidate afterwards unless the model is in `watches`."
            )
        return source

    @classmethod
    def _without_key(cls, parts: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
        """The values without the key's. Raises InvalidValue for another key."""
        source, key = cls._writable(), cls._options.key
        changed_columns = dict(values)
        for name, value in values.items():
            if (column := attribute(source, name)) in key.names:
                position = key.names.index(column)
                other = key.values((*parts[:position], value, *parts[position + 1 :]) if len(parts) > 1 else value)
                if other != parts:
                    raise key_error(cls, name)
                del changed_columns[name]
        return changed_columns

    @classmethod
    def _unique(cls, given: dict[str, Part]) -> tuple[KeyFields, tuple[Any, ...] | None]:
        """The given unique set, and its values; None for values that no entry can have."""
        source = cls._options.source
        values = given if source is None else normalize_values(source, given)
        index = cls._options.unique.get(frozenset(values))
        if index is None:
            known = ", ".join(" + ".join(fields.names) for fields in cls._options.unique.values()) or "nothing"
            raise SanicBaseError(f"{cls.__name__}.Meta.unique does not have {' + '.join(given)!r}; it has: {known}.")
        return index, index.values(
            tuple(values[name] for name in index.names) if len(values) > 1 else values.popitem()[1]
        )

    @classmethod
    def _loads(cls) -> bool:
        return cls.load.__func__ is not RCModel.load.__func__  # type: ignore[attr-defined]


def _in_place(entries: list[T | None], places: Sequence[object]) -> list[T | None]:
    """The entries in the order of all keys; None in place of a key that no entry can have."""
    remaining = iter(entries)
    return [None if place is None else next(remaining) for place in places]


cache_models = WeakSet()
