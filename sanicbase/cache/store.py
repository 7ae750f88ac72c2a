"""Cache models without a source: Redis is where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from redis.asyncio import Redis

from sanicbase.cache.batches import in_batches
from sanicbase.cache.keys import encoded
from sanicbase.cache.options import Options, fingerprint
from sanicbase.cache.packing import faithful, lost, unpacked
from sanicbase.db.errors import IntegrityError
from sanicbase.errors import InvalidValue, SanicBaseError
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["Store", "key_error"]

T = TypeVar("T", bound=BaseModel)

# KEYS: the entry. ARGV: what it was, what it is to be, its life in milliseconds or ''. Answers whether it was that.
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
TRIES = 50  # of an update that others are quicker than


class Store:
    """The entries of one class, each as JSON under its key. Redis' own errors are raised as they are."""

    def __init__(self, cls: type[BaseModel], options: Options) -> None:
        self._cls = cls
        self._options = options
        self._prefix = f"{namespace()}:rc:{cls.__name__}:s:{fingerprint(cls)}:"
        self._life = None if options.ttl is None else int(options.ttl * 1000)

    async def get_many(self, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The entries in the order of the keys; None for what there is not."""
        found: list[Any] = []
        for batch in in_batches(keys):
            found += await self._redis.mget([self._name(values) for values in batch])
        return [None if raw is None else unpacked(self._cls, raw) for raw in found]

    async def create(self, entry: BaseModel) -> None:
        """Keep a new entry. Raises IntegrityError when there is one with its key."""
        name = self._name(self._options.key.of(entry))
        if not await self._redis.set(name, _packed(entry), px=self._life, nx=True):
            names = ", ".join(self._options.key.names)
            raise IntegrityError(f"There is a {self._cls.__name__} with this {names}.", columns=self._options.key.names)

    async def save(self, entry: BaseModel) -> None:
        """Keep an entry, whatever there was."""
        await self._redis.set(self._name(self._options.key.of(entry)), _packed(entry), px=self._life)

    async def update(self, values: tuple[Any, ...], changes: dict[str, Any]) -> Any:
        """Change an entry as it is now, be others changing it as well; None when there is none."""
        name = self._name(values)
        replace = self._redis.register_script(REPLACE)
        for _ in range(TRIES):
            raw = await self._redis.get(name)
            if raw is None:
                return None
            before = unpacked(self._cls, raw)
            after = self._cls.model_validate(
                {**before.model_dump(by_alias=False), **changes}, by_alias=True, by_name=True
            )
            self._check_key(after, values)
            life = "" if self._life is None else self._life
            if await replace(keys=[name], args=[raw, _packed(after), life]):
                return after
        raise IntegrityError(f"A {self._cls.__name__} is changed by others all the time. Try again later.")

    def _check_key(self, after: BaseModel, values: tuple[Any, ...]) -> None:
        key = self._options.key
        for name, value, before in zip(key.names, key.of(after), values, strict=True):
            if value != before:
                raise key_error(self._cls, name)

    async def delete(self, keys: Sequence[tuple[Any, ...]]) -> int:
        """Remove entries, and say how many there were."""
        removed = 0
        for batch in in_batches(keys):
            removed += await self._redis.delete(*(self._name(values) for values in batch))
        return removed

    @property
    def _redis(self) -> Redis:
        return get_redis(self._options.connection)

    def _name(self, values: tuple[Any, ...]) -> str:
        return self._prefix + encoded(values)


def key_error(cls: type[BaseModel], name: str) -> InvalidValue:
    """What an update raises that would leave an entry under the key of another."""
    return InvalidValue(
        f"{name!r} is the key of {cls.__name__}, which cannot be changed. Create another one, and delete this one.",
        path=name,
        code="invalid",
    )


def _packed(entry: BaseModel) -> bytes:
    if (payload := faithful(entry, type(entry))) is None:
        raise SanicBaseError(
            f"Redis would not give back this {type(entry).__name__} ({lost(entry, type(entry))}): it is not written. "
            "Give the field a type that pydantic reads back from its own JSON."
        )
    return payload
