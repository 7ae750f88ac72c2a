"""RCModel: a pydantic model that is read through Redis, and never older than the last write that has returned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Self
from uuid import UUID
from weakref import WeakSet

from pydantic import BaseModel, ConfigDict, PrivateAttr
from tortoise.models import Model

from sanicbase.cache.opened import OpenCache
from sanicbase.cache.options import Index, Options, understood
from sanicbase.cache.packing import Loaded
from sanicbase.cache.saving import changes, locked_row, rows_of_key, write
from sanicbase.cache.stats import Stats
from sanicbase.cache.store import Store, key_error
from sanicbase.db import DBModel
from sanicbase.db.errors import NotFoundError
from sanicbase.db.keys import attribute, without_objects
from sanicbase.errors import NotOpenError, SanicBaseError

__all__ = ["Key", "RCModel", "declared"]

Part = int | str | UUID | date | Decimal | Model
Key = Part | tuple[Part, ...]
"""What an entry is found by; a tuple where the key has several fields. A related object stands for its key."""

declared: WeakSet[type[RCModel]]


class RCModel(BaseModel):
    """A pydantic model that is read through Redis.

        class ArticleRC(RCModel):
            id: int
            slug: str

            class Meta:
                source = Article        # a DBModel, whose rows it shows
                key = "id"              # by default the source's primary key; a tuple of names for several
                unique = ("slug",)      # what it can be got by as well: names, or tuples of names
                ttl = 3600              # seconds an entry lives, less up to a tenth
                negative_ttl = 60       # seconds it is remembered that there is none; 0 for not at all
                connection = "default"  # which Redis

    **Once a write has returned, no `get` that starts later returns an older value**, in any process of the service.
    That holds for writes of this class and for all writes of the source that its model sees; inside of a
    `transaction()` others see the old value until the commit. After SQL past the model, call `invalidate`.

    The column of a foreign key is a field, `author_id`; the relation itself is none. In the Meta, and as a key, either
    name will do.

    Instead of a source a class may have a `load` of its own, and name in `watches` the models whose writes change
    what it returns, with the field that holds the key: `watches = {Comment: "article_id"}`. A class with neither is
    kept in Redis alone, where `ttl` is None unless it is given.

    Raises SanicBaseError where the class is written when its Meta is wrong, and NotOpenError outside a lifespan.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)
    _options: ClassVar[Options]
    _opened: ClassVar[OpenCache | Store | None] = None
    _loaded: Loaded | None = PrivateAttr(default=None)  # copies and pickles have it, equality and dumps do not

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        meta = cls.__dict__.get("Meta")
        if meta is None:
            raise SanicBaseError(f"{cls.__name__} has no `class Meta`, which says where it is read from.")
        cls._options = understood(cls, meta, loads=cls._loads())
        cls._opened = None
        declared.add(cls)

    @classmethod
    async def load(cls, keys: Sequence[Any]) -> Iterable[Self]:
        """Override to say where the entries of these keys come from, in place of a source."""
        return ()

    @classmethod
    async def get(cls, key: Key) -> Self | None:
        """The entry with that key; None when there is none. One request to Redis when it is there."""
        values = cls._options.key.values(key)
        return None if values is None else (await cls._read(cls._options.key, [values]))[0]

    @classmethod
    async def get_or_fail(cls, key: Key) -> Self:
        """The entry with that key. Raises NotFoundError, which HTTP answers with 404."""
        if (found := await cls.get(key)) is None:
            raise NotFoundError(f"There is no {cls.__name__} {key}.")
        return found

    @classmethod
    async def get_many(cls, keys: Sequence[Key]) -> list[Self | None]:
        """The entries of many keys in their order, None for each that has none.

        One request to Redis for each 100 keys, and one query for what it has not. Raises what the load of one of them
        has raised.
        """
        values = [cls._options.key.values(key) for key in keys]
        possible = [each for each in values if each is not None]
        found = iter(await cls._read(cls._options.key, possible) if possible else ())
        return [None if each is None else next(found) for each in values]

    @classmethod
    async def get_by(cls, /, **unique: Part) -> Self | None:
        """The entry with these values of a unique set: `await ArticleRC.get_by(slug="hello")`.

        A foreign key is named by its relation or its column, and its value is a related object or its key.
        Texts are compared letter by letter, also where the database would take others for the same.
        """
        index, values = cls._unique(unique)
        if values is None:
            return None
        opened = cls._cache()
        if opened.transaction() is not None:
            inside: Self | None = (await opened.read_inside(index, [values]))[0]
            return inside
        entry: Self | None = await opened.follow(index, values)
        return entry

    @classmethod
    async def create(cls, /, **values: Any) -> Self:
        """Write a new row, or a new entry where there is no source, and return its entry.

        Raises IntegrityError when there is one already, InvalidValue for what does not fit.
        """
        if isinstance(store := cls._open(), Store):
            entry = cls(**values)
            await store.create(entry)
            return entry
        created: Self = store.entry_of(await cls._writable().create(**values))
        return created

    @classmethod
    async def update(cls, key: Key, /, **values: Any) -> Self | None:
        """Change some fields of a row, and return its entry; None when there is none.

        Raises as `create`, and InvalidValue for another key: a key cannot be changed.
        """
        if (parts := cls._options.key.values(key)) is None:
            return None
        if isinstance(store := cls._open(), Store):
            changed: Self | None = await store.update(parts, values)
            return changed
        changed_columns = cls._without_key(parts, values)
        if not changed_columns:
            return await cls.get(key)
        source = cls._writable()
        async with source._connection(None)._in_transaction() as connection:
            rows = await rows_of_key(source, cls._options.key, parts, connection)
            if not await rows.update(**changed_columns):
                return None
        return await cls.get(key)

    async def save(self) -> Self:
        """Write the fields that differ from the values that were loaded, and return the entry as it is then.

        An entry that your code has made, or given another key, writes all of its fields. What others have changed
        meanwhile stays as it is; of two who change one field the later one wins, unless the class shows the `version`
        of a Versioned source.

        Raises NotFoundError when there is no such row any more (where there is no source, it is made),
        StaleVersionError when the row has another `version` than the entry, StaleTokenError when it was written with a
        higher `fence`, and SanicBaseError when the source is Fenced and the class has no field `fence`.
        """
        if isinstance(store := self._open(), Store):
            await store.save(self)
            return self
        source, key = self._writable(), self._options.key
        parts, values = key.of(self), changes(self, self._loaded, source, key)
        async with source._connection(None)._in_transaction() as connection:
            row = await locked_row(source, key, parts, connection)
            if row is None:
                raise NotFoundError(f"There is no {type(self).__name__} {parts} any more.")
            await write(self, row, values, connection)
        return await self.get_or_fail(parts if len(parts) > 1 else parts[0])

    @classmethod
    async def delete(cls, key: Key) -> bool:
        """Delete the row, or the entry where there is no source; False when there is none."""
        if (parts := cls._options.key.values(key)) is None:
            return False
        if isinstance(store := cls._open(), Store):
            return await store.delete([parts]) > 0
        source = cls._writable()
        async with source._connection(None)._in_transaction() as connection:
            rows = await rows_of_key(source, cls._options.key, parts, connection)
            return await rows.delete() > 0

    @classmethod
    async def invalidate(cls, *keys: Key, **unique: Part) -> None:
        """Forget the entries of these keys, or what a unique set's values lead to: for SQL past the model.

        When it has returned, every `get` that starts later reads the source anew; inside of a `transaction()` that
        holds from its end on. Call it before the end.
        """
        opened = cls._cache()
        if values := [each for each in map(cls._options.key.values, keys) if each is not None]:
            await opened.forget(values)
        if unique:
            index, parts = cls._unique(unique)
            if parts is not None:
                await opened.forget_by(frozenset(index.names), parts)

    @classmethod
    async def invalidate_all(cls) -> None:
        """Forget all entries of the class, in one step: for SQL past the model that has changed any rows."""
        await cls._cache().forget_all()

    @classmethod
    async def refresh(cls, key: Key) -> Self | None:
        """The entry as the source has it now, whatever Redis has; it is stored anew unless a transaction is open."""
        opened = cls._cache()
        if (values := cls._options.key.values(key)) is None:
            return None
        entry: Self | None
        if opened.transaction() is not None:
            entry = (await opened.read_inside(cls._options.key, [values]))[0]
        else:
            entry = await opened.entries.refresh(values)
        return entry

    @classmethod
    async def warm(cls, keys: Iterable[Key], *, batch: int = 500) -> int:
        """Read entries ahead, so that they are there when they are asked for; how many of them there are."""
        waiting, found = list(keys), 0
        for place in range(0, len(waiting), batch):
            found += sum(entry is not None for entry in await cls.get_many(waiting[place : place + batch]))
        return found

    @classmethod
    async def stats(cls) -> Stats:
        """What the entries were good for, counted over all processes since Redis was empty; a second old at most."""
        return await cls._cache().all_stats()

    @classmethod
    def key_length(cls) -> int:
        """Of how many fields a key is."""
        return len(cls._options.key.names)

    @classmethod
    async def _read(cls, index: Index, keys: list[tuple[Any, ...]]) -> list[Self | None]:
        opened = cls._open()
        if isinstance(opened, Store):
            return await opened.get_many(keys)
        if opened.transaction() is not None:
            return await opened.read_inside(index, keys)
        return await opened.entries.get_many(keys)

    @classmethod
    def _open(cls) -> OpenCache | Store:
        if cls._opened is None:
            raise NotOpenError(
                f"{cls.__name__} is not open. Use it inside `async with lifespan(config)`, or in a running service "
                "whose `model_rc` has it."
            )
        return cls._opened

    @classmethod
    def _cache(cls) -> OpenCache:
        opened = cls._open()
        if isinstance(opened, Store):
            raise SanicBaseError(f"{cls.__name__} has no source: what is in Redis is all there is.")
        return opened

    @classmethod
    def _writable(cls) -> type[DBModel]:
        source = cls._options.source
        if source is None or not issubclass(source, DBModel):
            raise SanicBaseError(
                f"{cls.__name__} can be written when its source is a DBModel. Write what it is read from, and call "
                f"{cls.__name__}.invalidate afterwards unless that is watched."
            )
        return source

    @classmethod
    def _without_key(cls, parts: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
        """The values without those of the key. Raises InvalidValue when they are of another one."""
        source, key = cls._writable(), cls._options.key
        changes = dict(values)
        for name, value in values.items():
            if (column := attribute(source, name)) in key.names:
                place = key.names.index(column)
                other = key.values((*parts[:place], value, *parts[place + 1 :]) if len(parts) > 1 else value)
                if other != parts:
                    raise key_error(cls, name)
                del changes[name]
        return changes

    @classmethod
    def _unique(cls, given: dict[str, Part]) -> tuple[Index, tuple[Any, ...] | None]:
        """The unique set that is given, and its values; None for those that no entry can have."""
        source = cls._options.source
        values = given if source is None else without_objects(source, given)
        index = cls._options.unique.get(frozenset(values))
        if index is None:
            known = ", ".join(" + ".join(each.names) for each in cls._options.unique.values()) or "nothing"
            raise SanicBaseError(f"{cls.__name__}.Meta.unique does not have {' + '.join(given)!r}; it has: {known}.")
        return index, index.values(
            tuple(values[name] for name in index.names) if len(values) > 1 else values.popitem()[1]
        )

    @classmethod
    def _loads(cls) -> bool:
        return cls.load.__func__ is not RCModel.load.__func__  # type: ignore[attr-defined]


declared = WeakSet()
