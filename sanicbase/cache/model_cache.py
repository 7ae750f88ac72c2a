"""An open cache model: its readers and loaders, and its invalidation by writes to its models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.expressions import Q
from tortoise.models import Model

from sanicbase.cache.audit import Audit, Auditor, Sampler
from sanicbase.cache.codec import Codec, Keyspace, NotSerializable
from sanicbase.cache.copies import copier
from sanicbase.cache.epoch import EpochClient, RedisUnavailable
from sanicbase.cache.invalidation import WHOLE_CLASS, Invalidation
from sanicbase.cache.keys import encode_key
from sanicbase.cache.loaded_entry import LoadedEntry, loaded_by, loaded_values, set_loaded
from sanicbase.cache.loader import Loader
from sanicbase.cache.local import NOT_LOCAL, LocalEntries, LocalLimits
from sanicbase.cache.options import KeyFields, Options, fingerprint
from sanicbase.cache.pending_reads import KeyValues, LoadFailure
from sanicbase.cache.reader import Reader
from sanicbase.cache.serialization import describe_loss, dump_lossless
from sanicbase.cache.spans import reader_class, unique_index_class
from sanicbase.cache.stats import Stats
from sanicbase.cache.unique_index import IndexEntry, UniqueIndex, index_codec
from sanicbase.db.engine.transactions import EngineTransaction, may_be_in_transaction
from sanicbase.db.keys import attribute
from sanicbase.db.model import DBModel
from sanicbase.db.observers import Write, unwatch, watch
from sanicbase.db.routing import use_primary
from sanicbase.metrics import Counter
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["ModelCache"]

READS = Counter(
    "sanicbase_cache_reads_total", "Reads of cache models by their outcome, and audits.", ["model", "outcome"]
)

MAX_PLACES = 5000  # about a megabyte; more where more entries are in memory
REMEMBERED = frozenset({int, str, UUID})  # no two of them are equal: `1 == True` would mix up two keys
MAX_OR_CONDITIONS = 200  # of a condition; SQLite takes a depth of 1000

Load = Callable[[list[Any]], Awaitable[Iterable[Any]]]


class ModelCache:
    """The cache of one class on one Redis, open during the lifespan. `load` is the class's own, if it has one.

    The readers run outside every transaction; `read_in_transaction` reads inside one.
    """

    def __init__(
        self,
        cls: type[LoadedEntry],
        options: Options,
        load: Load | None,
        epoch_client: EpochClient,
        *,
        life: float,
        commit: float,
        local: LocalLimits | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self._cls = cls
        self._validate_json = _json_validator(cls)
        self._options = options
        self._load = load
        self._epoch_client = epoch_client
        self.stats = Stats()
        self._published: dict[str, int] = {}  # how much of them the metrics have
        self._places: dict[object, tuple[str, KeyValues] | None] = {}  # of the last keys
        self.keyspace = Keyspace(f"{namespace()}:rc:{cls.__name__}:", fingerprint(cls))
        ttl = options.ttl or 0.0
        self._copy: Callable[[Any], Any] | None = copier(cls)
        codec: Codec[Any] = Codec(self._pack, self._unpack, ttl, options.negative_ttl, self._copy)
        local_tier = epoch_client.local_tier(local) if options.local and local is not None else None
        self.entries: Reader[Any] = reader_class()(
            "k", self.keyspace, epoch_client, Loader(self._load_by_key), codec, self.stats, local_tier
        )
        self.is_local = local_tier is not None
        self._max_lag = local.max_lag if local is not None else 0.0
        self._max_places = MAX_PLACES if local is None else max(MAX_PLACES, 2 * local.entries)
        if sampler is not None:
            self.entries.auditor = Auditor(
                cls.__name__, sampler, self.stats, self.entries.fetch, self._load_from_primary
            )
        self.unique_indexes = {names: self._unique_index(index, codec) for names, index in options.unique.items()}
        self.writes = Invalidation(
            self.keyspace, epoch_client, self._keys_of, life=life, commit=commit, drop_local=self._drop_local
        )

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

    def locate(self, key: object) -> tuple[str, KeyValues] | None:
        """The name of an entry within its class, and the values of its key; None for a key that no entry can have."""
        if type(key) not in REMEMBERED and not _is_memorable(key):
            return self._located(key)
        try:
            return self._places[key]
        except KeyError:
            place = self._located(key)
        if len(self._places) >= self._max_places:
            self._places.clear()
        self._places[key] = place
        return place

    def locate_all(self, keys: Sequence[object]) -> list[tuple[str, KeyValues] | None]:
        """What `locate` returns for each key, without a call for those that are remembered."""
        places, locate = self._places, self.locate
        return [places[key] if type(key) in REMEMBERED and key in places else locate(key) for key in keys]

    def find_local(self, key: object) -> Any:
        """The entry in the memory of this process, for this caller alone; NOT_LOCAL when there is none."""
        place = self._places.get(key) if type(key) in REMEMBERED or _is_memorable(key) else None
        if place is None or (local := self.entries.local) is None or (entry := local.get(place[0])) is NOT_LOCAL:
            return NOT_LOCAL
        self.stats.local_hits += 1
        if (auditor := self.entries.auditor) is not None and auditor.selects():
            self._audit_local(auditor, local, place, entry)
        return entry if entry is None or self._copy is None else self._copy(entry)

    def _audit_local(
        self, auditor: Auditor, local: LocalEntries[Any], place: tuple[str, KeyValues], entry: object
    ) -> None:
        key, values = place
        auditor.start(Audit(key, values, None, entry, self._max_lag, lambda: local.get(key) is entry))

    async def _load_from_primary(self, values: KeyValues) -> Any:
        return (await self._load_by_key([values])).get(encode_key(values))

    async def refresh(self, values: KeyValues) -> Any:
        """Load an entry from its source."""
        entry = await self.entries.refresh(values)
        self._drop_local([self.entries.key(values)])
        return entry

    def _drop_local(self, keys: Sequence[str]) -> None:
        if self.entries.local is not None:
            self.entries.local.drop(keys)

    def _located(self, key: object) -> tuple[str, KeyValues] | None:
        values = self._options.key.values(key)
        return None if values is None else (self.entries.key(values), values)

    def transaction(self) -> BaseDBAsyncClient | None:
        """The caller's transaction on a connection of the class's models, if there is one."""
        if not may_be_in_transaction():
            return None
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

    def publish(self) -> None:
        """Count as metrics what was counted since the last time."""
        for field in fields(self.stats):
            count = getattr(self.stats, field.name)
            more = count - self._published.get(field.name, 0)
            if more > 0 or field.name == "mismatched":  # Prometheus sees no increase in a series that begins with 1
                READS.inc(self._cls.__name__, field.name, amount=more)
                self._published[field.name] = count

    async def count(self) -> None:
        """Add the counters to those of all processes; they are lost when Redis is unavailable."""
        self.publish()
        if self._epoch_client.epoch is None or not (counted := self.stats.take()):
            return
        self._published.clear()
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
        return unique_index_class()(
            self.entries, name, self.keyspace, self._epoch_client, Loader(load), entry_codec, self.stats
        )

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

        The texts are compared exactly, regardless of the collation. A row that the class rejects is a LoadFailure.
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
        set_loaded(entry, loaded_values(entry))
        return entry

    def _pack(self, entry: Any) -> bytes:
        payload = dump_lossless(entry, self._cls) if self._load else loaded_by(entry)
        if not isinstance(payload, bytes):
            raise NotSerializable(
                f"it does not survive serialization to JSON ({describe_loss(entry, self._cls)}). Such entries are "
                "loaded each time; further ones are only counted. Give the field of "
                f"{self._cls.__name__} a type that pydantic reads back from its own JSON, without a serializer or "
                "validator that changes it."
            )
        return payload

    def _unpack(self, raw: bytes) -> LoadedEntry:
        entry: LoadedEntry = self._validate_json(raw, by_alias=False, by_name=True)
        set_loaded(entry, raw)
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


def _is_memorable(key: object) -> bool:
    """Whether the key, or each part of it, has a type whose values never equal those of another type."""
    if type(key) is tuple:
        return all(type(part) in REMEMBERED for part in key)
    return type(key) in REMEMBERED


def _json_validator(cls: type[LoadedEntry]) -> Callable[..., Any]:
    """The function that `model_validate_json` calls, or the method of a class that overrides it."""
    if cls.model_validate_json.__func__ is BaseModel.model_validate_json.__func__:  # type: ignore[attr-defined]
        cls.model_rebuild()
        return cls.__pydantic_validator__.validate_json
    return cls.model_validate_json


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
