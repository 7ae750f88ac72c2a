"""An open cache model: its readers and loaders, and its invalidation by writes to its models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.expressions import Q
from tortoise.models import Model

from sanicbase.cache.epoch import EpochClient, RedisUnavailable
from sanicbase.cache.invalidation import WHOLE_CLASS, Invalidation
from sanicbase.cache.keys import encode_key
from sanicbase.cache.loader import Loader
from sanicbase.cache.options import KeyFields, Options, fingerprint
from sanicbase.cache.pending_reads import KeyValues, LoadFailure
from sanicbase.cache.reader import Codec, Keyspace, NotSerializable, Reader
from sanicbase.cache.serialization import LoadedValues, describe_loss, dump_lossless, load_json
from sanicbase.cache.stats import Stats
from sanicbase.cache.unique_index import IndexEntry, UniqueIndex, index_codec
from sanicbase.db.engine.transactions import EngineTransaction
from sanicbase.db.keys import attribute
from sanicbase.db.model import DBModel
from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.db.routing import use_primary
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["ModelCache"]

MAX_OR_CONDITIONS = 200  # of a condition; SQLite takes a depth of 1000

Load = Callable[[list[Any]], Awaitable[Iterable[Any]]]


class ModelCache:
    """The cache of one class on one Redis, open during the lifespan. `load` is the class's own, if it has one.

    The readers run outside every transaction; `read_in_transaction` reads inside one.
    """

    def __init__(
        self,
        cls: type[BaseModel],
        options: Options,
        load: Load | None,
        epoch_client: EpochClient,
        *,
        life: float,
        commit: float,
    ) -> None:
        self._cls = cls
        self._options = options
        self._load = load
        self._epoch_client = epoch_client
        self.stats = Stats()
        self.keyspace = Keyspace(f"{namespace()}:rc:{cls.__name__}:", fingerprint(cls))
        ttl = options.ttl or 0.0
        codec: Codec[Any] = Codec(self._pack, self._unpack, ttl, options.negative_ttl)
        self.entries: Reader[Any] = Reader(
            "k", self.keyspace, epoch_client, Loader(self._load_by_key), codec, self.stats
        )
        self.unique_indexes = {names: self._unique_index(index, codec) for names, index in options.unique.items()}
        self.writes = Invalidation(self.keyspace, epoch_client, self._keys_of, life=life, commit=commit)

    def watch(self) -> None:
        """Start to watch writes to the models."""
        for model in self._options.watches:
            watch(model, self.writes, columns=self._columns(model))

    async def close(self) -> None:
        """Stop watching, and cancel running reads."""
        for model in self._options.watches:
            unwatch(model, self.writes)
        for reader in (self.entries, *self.unique_indexes.values()):
            await reader.close()
        await self.count()

    def transaction(self) -> BaseDBAsyncClient | None:
        """The caller's transaction on a connection of the class's models, if there is one."""
        for model in self._options.watches:
            connection = primary_connection(model)
            if isinstance(connection, TransactionalDBClient):
                return connection
        return None

    async def read_in_transaction(self, index: KeyFields, keys: list[KeyValues]) -> list[Any]:
        """The entries that the caller's transaction sees, in the order of the keys; None where there is none."""
        if index is self._options.key:
            entries = await self._load_by_key(keys)
        else:
            entries = {
                text: _entry_or_failure(index_entry) for text, index_entry in (await self._rows_of(index, keys)).items()
            }
        return [_value_or_raise(entries.get(encode_key(values))) for values in keys]

    async def get_by_index(self, index: KeyFields, values: KeyValues) -> Any:
        """The entry with these values of a unique set."""
        unique_index = self.unique_indexes[frozenset(index.names)]
        index_entry = await unique_index.get(values)
        if index_entry is None:
            return None
        entry = index_entry.entry or await self.entries.get(index_entry.key)
        if entry is None or index.of(entry) != values:  # the row was changed
            index_entry = await unique_index.refresh(values)
            return index_entry and index_entry.entry
        return entry

    async def count(self) -> None:
        """Add the counters to those of all processes; they are lost when Redis is unavailable."""
        if self._epoch_client.epoch is None or not (counted := self.stats.take()):
            return
        pipeline = self._epoch_client.reading.pipeline(transaction=False)
        for name, count in counted.items():
            pipeline.hincrby(self.keyspace.stats, name, count)
        with suppress(RedisUnavailable):
            await self._epoch_client.request(pipeline.execute())

    async def all_stats(self) -> Stats:
        """The counters of all processes."""
        await self.count()
        counters: dict[Any, Any] = await get_redis(self._options.connection).hgetall(self.keyspace.stats)
        return Stats(**{name.decode(): int(count) for name, count in counters.items()})

    async def invalidate(self, keys: Iterable[KeyValues]) -> None:
        """Delete the entries of these keys; inside a transaction, close the keys until its end."""
        await self._invalidate([self.entries.key(values) for values in keys])

    async def invalidate_by(self, names: frozenset[str], values: KeyValues) -> None:
        """Delete the entry of a unique value."""
        await self._invalidate([self.unique_indexes[names].key(values)])

    async def invalidate_all(self) -> None:
        """Delete all entries of the class."""
        await self._invalidate([WHOLE_CLASS])

    async def _invalidate(self, keys: Sequence[str]) -> None:
        for model in self._options.watches:
            connection = primary_connection(model)
            if isinstance(connection, EngineTransaction):
                await self.writes.invalidate_in_transaction(keys, connection, model)
                return
        await self.writes.invalidate(keys)

    def _unique_index(self, index: KeyFields, codec: Codec[Any]) -> UniqueIndex[Any]:
        async def load(keys: list[KeyValues]) -> Mapping[str, IndexEntry[Any] | LoadFailure]:
            return await self._rows_of(index, keys)

        key = self._options.key
        entry_codec = index_codec(self.entries, codec, lambda parts: key.values(_as_key(parts)))
        name = "+".join(index.names)
        return UniqueIndex(self.entries, name, self.keyspace, self._epoch_client, Loader(load), entry_codec, self.stats)

    async def _load_by_key(self, keys: list[KeyValues]) -> Mapping[str, Any]:
        key = self._options.key
        if self._load is None:
            return {
                text: _entry_or_failure(index_entry) for text, index_entry in (await self._rows_of(key, keys)).items()
            }
        with use_primary():  # also in tasks that it starts; a stale value from a replica would be stored
            entries = await self._load([_as_key(values) for values in keys])
        return {encode_key(key.of(entry)): entry for entry in entries}

    async def _rows_of(self, index: KeyFields, keys: list[KeyValues]) -> dict[str, IndexEntry[Any] | LoadFailure]:
        """The rows with these values, by the texts of the values; from the primary, since stale values would be stored.

        The texts are compared exactly, whatever the collation is. A row that the class rejects is a LoadFailure.
        """
        source = self._options.source
        assert source is not None  # noqa: S101  (else the class has a load)
        index_entries: dict[str, IndexEntry[Any] | LoadFailure] = {}
        for start in range(0, len(keys), MAX_OR_CONDITIONS):
            batch = keys[start : start + MAX_OR_CONDITIONS]
            for row in await _select(source, index, batch):
                index_entries[encode_key(index.converted(index.of(row)))] = self._index_entry(row)
        return index_entries

    def _index_entry(self, row: Model) -> IndexEntry[Any] | LoadFailure:
        key = self._options.key
        try:
            return IndexEntry(key.converted(key.of(row)), self.entry_of(row))
        except Exception as exc:  # a validator may raise anything
            return LoadFailure(exc)

    def entry_of(self, row: Model) -> Any:
        """The entry of a row, with its loaded values. Raises the class's error for a row that it rejects."""
        entry: Any = self._cls.model_validate(row, by_alias=False, by_name=True)
        entry._loaded = LoadedValues.of(entry)
        return entry

    def _pack(self, entry: Any) -> bytes:
        payload: bytes | None = dump_lossless(entry, self._cls) if self._load else entry._loaded.payload
        if payload is None:
            raise NotSerializable(
                f"it does not survive serialization to JSON ({describe_loss(entry, self._cls)}). Such entries are "
                "loaded each time; further ones are only counted. Give the field of "
                f"{self._cls.__name__} a type that pydantic reads back from its own JSON, without a serializer or "
                "validator that changes it."
            )
        return payload

    def _unpack(self, raw: bytes) -> Any:
        entry: Any = load_json(self._cls, raw)
        entry._loaded = LoadedValues(raw)
        return entry

    def _columns(self, model: type[Model]) -> set[str]:
        if model is not self._options.source:
            return set(self._options.watches[model])
        return {name for index in (self._options.key, *self._options.unique.values()) for name in index.names}

    def _keys_of(self, write: Write) -> Sequence[str]:
        """The keys that a write affects."""
        if write.rows is None:
            return [WHOLE_CLASS]
        names: dict[str, None] = {}  # ordered, without duplicates
        for row in write.rows:
            if write.model is self._options.source:
                names |= dict.fromkeys(self._keys_of_row(row))
            else:
                values = tuple(row[name] for name in self._options.watches[write.model])
                names[_key_name(self._options.key, self.entries, values)] = None
        return list(names)

    def _keys_of_row(self, row: Mapping[str, Any]) -> list[str]:
        readers = [(self._options.key, self.entries)]
        readers += [(index, self.unique_indexes[names]) for names, index in self._options.unique.items()]
        return [_key_name(index, reader, tuple(row[name] for name in index.names)) for index, reader in readers]


def _key_name(index: KeyFields, reader: Reader[Any], values: KeyValues) -> str:
    """The name of the key that readers use for these values of a row; the whole class when it cannot be known."""
    typed = index.values(_as_key(values))
    if typed is None and None not in values:
        return WHOLE_CLASS
    return reader.key(values if typed is None else typed)


def _entry_or_failure(index_entry: IndexEntry[Any] | LoadFailure) -> Any:
    return index_entry if isinstance(index_entry, LoadFailure) else index_entry.entry


def _value_or_raise(value: Any) -> Any:
    if isinstance(value, LoadFailure):
        raise value.error
    return value


def primary_connection(model: type[Model]) -> BaseDBAsyncClient:
    """The connection for writes to the model, or the caller's transaction on it."""
    return model._choose_db(for_write=True)


async def _select(source: type[Model], index: KeyFields, keys: Sequence[KeyValues]) -> list[Model]:
    connection = primary_connection(source)
    if len(keys) == 1 and issubclass(source, DBModel) and index.names == (attribute(source, "pk"),):
        row = await source.get_by_pk(keys[0][0], using_db=connection)
        return [] if row is None else [row]
    return await source.filter(_condition(index, keys)).using_db(connection)


def _condition(index: KeyFields, keys: Sequence[KeyValues]) -> Q:
    if len(index.names) == 1:
        one: dict[str, Any] = {f"{index.names[0]}__in": [values[0] for values in keys]}
        return Q(**one)
    return Q(*(Q(**dict(zip(index.names, values, strict=True))) for values in keys), join_type=Q.OR)


def _as_key(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)
