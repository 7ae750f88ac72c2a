"""The local tier: entries in the memory of the process, which invalidation messages of Redis keep up to date.

The reads of local classes use a separate connection, on which Redis tracks the keys that they read: CLIENT TRACKING of
RESP3 (https://redis.io/docs/latest/develop/reference/client-side-caching/). When a tracked key is written, deleted or
expires, Redis pushes its name on the same connection. Everything therefore arrives in the order of the server: if a key
is written after it was read, its invalidation follows the response with the old value. With two connections (REDIRECT),
an invalidation could overtake the response, and the old value would stay. The mode is the default one, in which Redis
remembers the keys of each connection: broadcasts (BCAST) would send every write of a class to every process.

Invalidations alone would not limit the lag: a connection can be lost without notice. A local entry is therefore valid
only until `max_lag` seconds after the last proof, the time of a request that Redis has answered on this connection with
the epoch of the entries: the response follows all earlier invalidations. If nothing is read from Redis, the epoch is
requested four times in that span.

| what happens | the local entries |
|---|---|
| a key is written, deleted or expires | its entry is dropped when the push arrives |
| the class is closed, or Redis forgets its generation | all of the class |
| this process writes | its keys are dropped before the write returns, and responses to earlier requests are not kept |
| the connection is lost | all are dropped |
| Redis does not answer, or has another epoch | none is valid after `max_lag` seconds; another epoch drops all |
| the event loop is blocked for longer than `max_lag` | none is valid until Redis has answered again |
| Redis is emptied | all are dropped |
| there are too many | the oldest ones that were not read meanwhile are dropped |
| Redis refuses to track | none is kept, which is logged once |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from redis.asyncio.connection import ConnectionPool

from sanicbase.cache.entry_requests import EntryRequests, EpochEnded
from sanicbase.rc.multiplexed import MultiplexedConnection, pack

__all__ = ["NOT_LOCAL", "LocalEntries", "LocalLimits", "LocalTier"]

logger = logging.getLogger("sanicbase.cache")

NOT_LOCAL = object()
PROOFS = 4  # in the largest lag
OVERHEAD = 1024  # bytes that an entry takes besides its JSON
WHOLE_CLASS = "*"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """The bounds of a process: `max_lag` in seconds, `size` in bytes of JSON with OVERHEAD for each entry."""

    entries: int
    size: int
    max_lag: float


class _Copy:
    """An entry in memory; `version` is that of its class."""

    __slots__ = ("deadline", "size", "used", "value", "version")

    def __init__(self, value: Any, deadline: float, size: int, version: int) -> None:
        self.value = value
        self.deadline = deadline
        self.size = size
        self.version = version
        self.used = False


class EpochSource(Protocol):
    """The part of the epoch client that the tier needs."""

    @property
    def epoch(self) -> bytes | None:
        """The epoch whose entries are valid; a thread may change it."""

    @property
    def valid_epoch(self) -> bytes | None:
        """The same, or None while nothing may be stored."""

    def check_now(self) -> None:
        """Trust no entry until the epoch is confirmed."""

    def send_on(self, connection: MultiplexedConnection, command: bytes, answered: Callable[[Any], None]) -> None:
        """Send a command that is answered by None when it fails or takes too long."""


class LocalTier:
    """The local entries of the classes on one Redis, and the connection that receives their invalidations.

    Belongs to one event loop.
    """

    def __init__(self, pool: ConnectionPool, epoch_name: str, limits: LocalLimits, source: EpochSource) -> None:
        self.source = source
        self.valid_until = 0.0  # by the monotonic clock
        self.epoch: bytes | None = None  # of all copies
        self.copies: dict[str, _Copy] = {}  # by the names of the entries, the oldest first
        self.answer_sent = 0.0  # when the request was sent whose answer is being read
        self._limits = limits
        self._size = 0
        self._epoch_name = epoch_name
        self._classes: dict[str, LocalEntries[Any]] = {}  # by the names of their generations
        self._refused = self._warned = False
        self._connection = MultiplexedConnection(
            pool,
            # In RESP2, which a URL can select, Redis tracks keys but sends no messages.
            greeting=[(pack("HELLO", 3), self._greeted), (pack("CLIENT", "TRACKING", "ON"), self._tracked)],
            on_push=self._pushed,
            on_loss=self.clear,
        )
        self.requests = EntryRequests(epoch_name, lambda: source.valid_epoch, self._send, self._distrust, self._prove)
        self._task = asyncio.create_task(self._keep_proving(), name="proofs of local entries")

    def add_class(self, generation_name: str, entry_prefix: str) -> LocalEntries[Any]:
        """The local entries of a class."""
        entries = self._classes[generation_name] = LocalEntries(self, entry_prefix)
        return entries

    async def close(self) -> None:
        """Drop all entries, and close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._connection.close()
        self.clear()

    def clear(self) -> None:
        """Drop all entries."""
        self.copies.clear()
        self._size, self.valid_until = 0, 0.0

    def keep(self, name: str, copy: _Copy) -> None:
        """Keep an entry if Redis tracks it, and make room for it."""
        if self._refused or copy.size > self._limits.size or self.epoch is None:
            return
        self.drop(name)
        self.copies[name] = copy
        self._size += copy.size
        while len(self.copies) > self._limits.entries or self._size > self._limits.size:
            oldest = next(iter(self.copies))
            removed = self.copies.pop(oldest)
            if removed.used:  # a second chance
                removed.used = False
                self.copies[oldest] = removed
            else:
                self._size -= removed.size

    def drop(self, name: str) -> None:
        """Drop an entry, if there is one."""
        if (copy := self.copies.pop(name, None)) is not None:
            self._size -= copy.size

    def _send(self, command: bytes, answered: Callable[[Any], None]) -> None:
        self.source.send_on(self._connection, command, answered)

    def _greeted(self, answer: Any) -> None:
        self._refused = self._is_refused(answer)

    def _tracked(self, answer: Any) -> None:
        self._refused = self._refused or self._is_refused(answer)
        if self._refused and not self._warned:
            logger.warning("Redis does not track keys (%s): cache models with `local` read Redis each time.", answer)
        self._warned = self._refused

    def _is_refused(self, answer: Any) -> bool:
        return isinstance(answer, Exception) and self._connection.is_connected

    def _pushed(self, message: list[Any]) -> None:
        if message[0] != b"invalidate":
            return
        if message[1] is None:  # Redis was emptied
            self.clear()
            return
        for raw in message[1]:
            name = raw.decode()
            if (entries := self._classes.get(name)) is not None:
                entries.drop_all()
            else:
                self.drop(name)

    def _prove(self, sent: float, epoch: bytes) -> None:
        """Record that everything that the server sent before its response to a request of this time has arrived."""
        if epoch != self.epoch:
            self.clear()
            self.epoch = epoch
        self.answer_sent = sent
        self.valid_until = sent + self._limits.max_lag

    def _distrust(self) -> None:
        self.source.check_now()
        self._connection.abort(EpochEnded())

    async def _keep_proving(self) -> None:
        while True:
            await asyncio.sleep(self._limits.max_lag / PROOFS)
            epoch = self.source.valid_epoch
            if self.copies and epoch is not None:
                self._send(pack("MGET", self._epoch_name), partial(self._check_proof, monotonic(), epoch))

    def _check_proof(self, sent: float, epoch: bytes, values: list[Any] | None) -> None:
        if values is None:
            return
        if values[0] == epoch:
            self._prove(sent, epoch)
        else:
            self._distrust()


class LocalEntries(Generic[T]):
    """The local entries of one class."""

    def __init__(self, tier: LocalTier, prefix: str) -> None:
        self._tier = tier
        self._prefix = prefix
        self._version = 0
        self._dropped_at = 0.0

    def get(self, key: str) -> T | object | None:
        """The value of an entry by its name within the class; None when there is no row, NOT_LOCAL when it is unknown.

        The caller must not change the value.
        """
        tier = self._tier
        copy = tier.copies.get(self._prefix + key)
        if copy is None or copy.version != self._version or tier.source.epoch != tier.epoch:
            return NOT_LOCAL
        now = monotonic()
        if now >= tier.valid_until or now >= copy.deadline:
            return NOT_LOCAL
        copy.used = True
        value: T | None = copy.value
        return value

    def keep(self, key: str, value: T | None, lifetime: float, size: int) -> None:
        """Keep the value of an entry in the answer that is being read, for `lifetime` seconds."""
        tier = self._tier
        if tier.answer_sent > self._dropped_at:  # else this process has written since
            copy = _Copy(value, monotonic() + lifetime, size + OVERHEAD, self._version)
            tier.keep(self._prefix + key, copy)

    def drop(self, keys: Iterable[str]) -> None:
        """Drop entries, and keep nothing from responses to requests in flight."""
        self._dropped_at = monotonic()
        for key in keys:
            if key == WHOLE_CLASS:
                self._version += 1
            else:
                self._tier.drop(self._prefix + key)

    def drop_all(self) -> None:
        """Drop all entries of the class: none has the new version, and they are evicted as the oldest."""
        self._version += 1
