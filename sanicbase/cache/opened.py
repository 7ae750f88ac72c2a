"""A cache model while its service has it open: its readers, its loaders, and what watches the writes to its models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.expressions import Q
from tortoise.models import Model

from sanicbase.cache.keys import encoded
from sanicbase.cache.loader import Loader
from sanicbase.cache.options import Index, Options, fingerprint
from sanicbase.cache.packing import Loaded, faithful, lost, unpacked
from sanicbase.cache.pointers import Pointed, Pointers, kept_pointers
from sanicbase.cache.reader import Kept, NotKept, Place, Reader
from sanicbase.cache.stats import Stats
from sanicbase.cache.trust import Away, Trust
from sanicbase.cache.wants import Failed, Values
from sanicbase.cache.writes import ALL, Writes
from sanicbase.db.engine.transactions import LimitedTransaction
from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.db.routing import use_primary
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["OpenCache"]

MOST_ALTERNATIVES = 200  # of a condition; SQLite takes a depth of 1000

Load = Callable[[list[Any]], Awaitable[Iterable[Any]]]


class OpenCache:
    """One class, on one Redis; made when the lifespan opens, closed with it. `load` is the class's own, if it has one.

    The readers run outside of every transaction: whoever is inside of one reads by `read_inside`.
    """

    def __init__(
        self, cls: type[BaseModel], options: Options, load: Load | None, trust: Trust, *, life: float, commit: float
    ) -> None:
        self._cls = cls
        self._options = options
        self._load = load
        self._trust = trust
        self.stats = Stats()
        self.place = Place(f"{namespace()}:rc:{cls.__name__}:", fingerprint(cls))
        ttl = options.ttl or 0.0
        kept: Kept[Any] = Kept(self._pack, self._unpack, ttl, options.negative_ttl)
        self.entries: Reader[Any] = Reader("k", self.place, trust, Loader(self._load_by_key), kept, self.stats)
        self.pointers = {names: self._pointers(index, kept) for names, index in options.unique.items()}
        self.writes = Writes(self.place, trust, self._keys_of, life=life, commit=commit)

    def watch(self) -> None:
        """Hear of writes to the models from now on."""
        for model in self._options.watches:
            watch(model, self.writes, columns=self._columns(model))

    async def close(self) -> None:
        """Hear of nothing more, and end what is under way."""
        for model in self._options.watches:
            unwatch(model, self.writes)
        for reader in (self.entries, *self.pointers.values()):
            await reader.close()
        await self.count()

    def transaction(self) -> BaseDBAsyncClient | None:
        """The transaction that the caller is in, if it is on a connection of the class's models."""
        for model in self._options.watches:
            connection = primary(model)
            if isinstance(connection, TransactionalDBClient):
                return connection
        return None

    async def read_inside(self, index: Index, keys: list[Values]) -> list[Any]:
        """What the caller's transaction sees, in the order of the keys; None for what there is not."""
        if index is self._options.key:
            found = await self._load_by_key(keys)
        else:
            found = {text: _entry(pointed) for text, pointed in (await self._rows_of(index, keys)).items()}
        return [_raised(found.get(encoded(values))) for values in keys]

    async def follow(self, index: Index, values: Values) -> Any:
        """The entry that a unique set's values lead to."""
        pointers = self.pointers[frozenset(index.names)]
        pointed = await pointers.get(values)
        if pointed is None:
            return None
        entry = pointed.entry or await self.entries.get(pointed.key)
        if entry is None or index.of(entry) != values:  # the row has changed since
            pointed = await pointers.refresh(values)
            return pointed and pointed.entry
        return entry

    async def count(self) -> None:
        """Add what was counted to what all processes have; lost when Redis is away."""
        if self._trust.epoch is None or not (counted := self.stats.taken()):
            return
        pipeline = self._trust.reading.pipeline(transaction=False)
        for name, count in counted.items():
            pipeline.hincrby(self.place.stats, name, count)
        with suppress(Away):
            await self._trust.asked(pipeline.execute())

    async def all_stats(self) -> Stats:
        """What all processes have counted."""
        await self.count()
        found: dict[Any, Any] = await get_redis(self._options.connection).hgetall(self.place.stats)
        return Stats(**{name.decode(): int(count) for name, count in found.items()})

    async def forget(self, keys: Iterable[Values]) -> None:
        """Drop what is kept of these keys; inside of a transaction, keep nothing of them until its end."""
        await self._forget([self.entries.key(values) for values in keys])

    async def forget_by(self, names: frozenset[str], values: Values) -> None:
        """Drop what a unique value leads to."""
        await self._forget([self.pointers[names].key(values)])

    async def forget_all(self) -> None:
        """Drop all of the class."""
        await self._forget([ALL])

    async def _forget(self, keys: Sequence[str]) -> None:
        for model in self._options.watches:
            connection = primary(model)
            if isinstance(connection, LimitedTransaction):
                await self.writes.forget_inside(keys, connection, model)
                return
        await self.writes.forget(keys)

    def _pointers(self, index: Index, kept: Kept[Any]) -> Pointers[Any]:
        async def load(keys: list[Values]) -> Mapping[str, Pointed[Any] | Failed]:
            return await self._rows_of(index, keys)

        key = self._options.key
        pointers = kept_pointers(self.entries, kept, lambda parts: key.values(_key_of(parts)))
        name = "+".join(index.names)
        return Pointers(self.entries, name, self.place, self._trust, Loader(load), pointers, self.stats)

    async def _load_by_key(self, keys: list[Values]) -> Mapping[str, Any]:
        key = self._options.key
        if self._load is None:
            return {text: _entry(pointed) for text, pointed in (await self._rows_of(key, keys)).items()}
        with use_primary():  # also in the tasks that it starts; what a replica says would outlive its lag
            entries = await self._load([_key_of(values) for values in keys])
        return {encoded(key.of(entry)): entry for entry in entries}

    async def _rows_of(self, index: Index, keys: list[Values]) -> dict[str, Pointed[Any] | Failed]:
        """The rows with these values, as the primary has them; a replica's would outlive its lag.

        By the texts of their values, which are compared letter by letter, whatever the collation of the database takes
        for the same. A row that the class refuses is a Failed.
        """
        source = self._options.source
        assert source is not None  # noqa: S101  (else there is a load of its own)
        found: dict[str, Pointed[Any] | Failed] = {}
        for place in range(0, len(keys), MOST_ALTERNATIVES):
            some = keys[place : place + MOST_ALTERNATIVES]
            for row in await source.filter(_condition(index, some)).using_db(primary(source)):
                found[encoded(index.typed(index.of(row)))] = self._pointed(row)
        return found

    def _pointed(self, row: Model) -> Pointed[Any] | Failed:
        key = self._options.key
        try:
            return Pointed(key.typed(key.of(row)), self.entry_of(row))
        except Exception as exc:  # also what a validator of the class raises
            return Failed(exc)

    def entry_of(self, row: Model) -> Any:
        """The entry that shows a row, whose values it remembers. Raises what the class does for a row it refuses."""
        entry: Any = self._cls.model_validate(row, by_alias=False, by_name=True)
        entry._loaded = Loaded.of(entry)
        return entry

    def _pack(self, entry: Any) -> bytes:
        payload: bytes | None = faithful(entry, self._cls) if self._load else entry._loaded.payload
        if payload is None:
            raise NotKept(
                f"JSON does not give back what was loaded ({lost(entry, self._cls)}). It is loaded each time, as are "
                f"others like it, which are counted. Give the field of {self._cls.__name__} a type that pydantic reads "
                "back from its own JSON, without a serializer or validator that changes it."
            )
        return payload

    def _unpack(self, raw: bytes) -> Any:
        entry: Any = unpacked(self._cls, raw)
        entry._loaded = Loaded(raw)
        return entry

    def _columns(self, model: type[Model]) -> set[str]:
        if model is not self._options.source:
            return set(self._options.watches[model])
        return {name for index in (self._options.key, *self._options.unique.values()) for name in index.names}

    def _keys_of(self, write: Write) -> Sequence[str]:
        """The keys that a write is about."""
        if write.rows is None:
            return [ALL]
        found: dict[str, None] = {}  # in order, each once
        for row in write.rows:
            if write.model is self._options.source:
                found |= dict.fromkeys(self._keys_of_row(row))
            else:
                values = tuple(row[name] for name in self._options.watches[write.model])
                found[_name(self._options.key, self.entries, values)] = None
        return list(found)

    def _keys_of_row(self, row: Mapping[str, Any]) -> list[str]:
        readers = [(self._options.key, self.entries)]
        readers += [(index, self.pointers[names]) for names, index in self._options.unique.items()]
        return [_name(index, reader, tuple(row[name] for name in index.names)) for index, reader in readers]


def _name(index: Index, reader: Reader[Any], values: Values) -> str:
    """The name under which readers ask for the values that a row has, or a model in memory that is written.

    It is the class where nobody can know that.
    """
    typed = index.values(_key_of(values))
    if typed is None and None not in values:
        return ALL
    return reader.key(values if typed is None else typed)


def _entry(pointed: Pointed[Any] | Failed) -> Any:
    return pointed if isinstance(pointed, Failed) else pointed.entry


def _raised(found: Any) -> Any:
    if isinstance(found, Failed):
        raise found.error
    return found


def primary(model: type[Model]) -> BaseDBAsyncClient:
    """The connection on which the model is written, or the transaction on it that the caller is in."""
    return model._choose_db(for_write=True)


def _condition(index: Index, keys: Sequence[Values]) -> Q:
    if len(index.names) == 1:
        one: dict[str, Any] = {f"{index.names[0]}__in": [values[0] for values in keys]}
        return Q(**one)
    return Q(*(Q(**dict(zip(index.names, values, strict=True))) for values in keys), join_type=Q.OR)


def _key_of(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)
