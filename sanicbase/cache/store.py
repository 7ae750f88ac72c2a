"""Cache models without a source, stored in Redis only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from redis.asyncio import Redis

from sanicbase.cache.batches import in_batches
from sanicbase.cache.keys import encode_key
from sanicbase.cache.options import Options, fingerprint
from sanicbase.cache.serialization import describe_loss, dump_lossless, load_json
from sanicbase.db.errors import IntegrityError
from sanicbase.errors import InvalidValue, SanicBaseError
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["Store", "key_error"]

T = TypeVar("T", bound=BaseModel)

# KEYS: the entry. ARGV: its expected value, its new value, its TTL in milliseconds or ''. Returns whether it was set.
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
MAX_ATTEMPTS = 50  # of an update with conflicts


class Store:
    """The entries of one class, each as JSON under its key. Raises the errors of redis-py."""

    def __init__(self, cls: type[BaseModel], options: Options) -> None:
        self._cls = cls
        self._options = options
        self._prefix = f"{namespace()}:rc:{cls.__name__}:s:{fingerprint(cls)}:"
        self._ttl_ms = None if options.ttl is None else int(options.ttl * 1000)

    async def get_many(self, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The entries in the order of the keys; None where there is none."""
        values: list[Any] = []
        for batch in in_batches(keys):
            values += await self._redis.mget([self._name(values) for values in batch])
        return [None if raw is None else load_json(self._cls, raw) for raw in values]

    async def create(self, entry: BaseModel) -> None:
        """Store a new entry. Raises IntegrityError when its key exists."""
        name = self._name(self._options.key.of(entry))
        if not await self._redis.set(name, _dump(entry), px=self._ttl_ms, nx=True):
            names = ", ".join(self._options.key.names)
            raise IntegrityError(
                f"A {self._cls.__name__} with this {names} already exists.", columns=self._options.key.names
            )

    async def save(self, entry: BaseModel) -> None:
        """Store an entry, whether or not its key exists."""
        await self._redis.set(self._name(self._options.key.of(entry)), _dump(entry), px=self._ttl_ms)

    async def update(self, values: tuple[Any, ...], changes: dict[str, Any]) -> Any:
        """Update an entry by compare-and-set; None when there is none."""
        name = self._name(values)
        replace = self._redis.register_script(REPLACE)
        for _ in range(MAX_ATTEMPTS):
            raw = await self._redis.get(name)
            if raw is None:
                return None
            old = load_json(self._cls, raw)
            new = self._cls.model_validate({**old.model_dump(by_alias=False), **changes}, by_alias=True, by_name=True)
            self._check_key(new, values)
            ttl_ms = "" if self._ttl_ms is None else self._ttl_ms
            if await replace(keys=[name], args=[raw, _dump(new), ttl_ms]):
                return new
        raise IntegrityError(f"Other processes keep changing this {self._cls.__name__}. Try again later.")

    def _check_key(self, new: BaseModel, values: tuple[Any, ...]) -> None:
        key = self._options.key
        for name, value, old in zip(key.names, key.of(new), values, strict=True):
            if value != old:
                raise key_error(self._cls, name)

    async def delete(self, keys: Sequence[tuple[Any, ...]]) -> int:
        """Delete entries; the number of existing ones."""
        removed = 0
        for batch in in_batches(keys):
            removed += await self._redis.delete(*(self._name(values) for values in batch))
        return removed

    @property
    def _redis(self) -> Redis:
        return get_redis(self._options.connection)

    def _name(self, values: tuple[Any, ...]) -> str:
        return self._prefix + encode_key(values)


def key_error(cls: type[BaseModel], name: str) -> InvalidValue:
    """The error of an update that would change the key."""
    return InvalidValue(
        f"{name!r} is the key of {cls.__name__}, which cannot be changed. Create another one, and delete this one.",
        path=name,
        code="invalid",
    )


def _dump(entry: BaseModel) -> bytes:
    if (payload := dump_lossless(entry, type(entry))) is None:
        raise SanicBaseError(
            f"This {type(entry).__name__} does not survive serialization to JSON "
            f"({describe_loss(entry, type(entry))}), so it was not written. Give the field a type that pydantic reads "
            "back from its own JSON."
        )
    return payload
