"""Reads of a class's entries; all reads of one iteration of the event loop share a request to Redis.

A miss takes a lease, loads from the database and stores the value, which succeeds only while the lease is the newest
and the key is not closed: the leases of Nishtala et al., Scaling Memcache at Facebook (NSDI 2013). A reader that finds
a lease taken polls for the entry until it is stored or the lease times out. An entry close to its expiry is refreshed
early by one of its readers, with a probability that grows with the cost of its load: Vattani, Chierichetti, Lowenstein,
Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).

Requests are bounded, see batches.py: BATCH keys at a time, fewer where entries are large. A value of more than
MAX_VALUE_BYTES bytes is not stored, nor is one that serialization would change. Its entry says so, and its readers load
at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sanicbase.cache.batches import BATCH, BATCH_BYTES, MAX_VALUE_BYTES, in_batches
from sanicbase.cache.entry import GENERATION, NOT_STORED, Entry, pack_entry, unpack_entry
from sanicbase.cache.epoch import EpochClient, RedisUnavailable
from sanicbase.cache.keys import encode_key
from sanicbase.cache.loader import Loader
from sanicbase.cache.pending_reads import FailOnError, KeyValues, LoadFailure, PendingRead, PendingReads
from sanicbase.cache.scripts import FILL, LEASE
from sanicbase.cache.stats import Stats
from sanicbase.errors import CorruptValue

__all__ = ["Codec", "Keyspace", "NotSerializable", "Reader"]

logger = logging.getLogger("sanicbase.cache")

JITTER = 0.1  # of the ttl, so that entries stored together do not expire together
BETA = 1.0  # of XFetch; a higher value refreshes earlier
LEASE_TTL = 60.0  # seconds; a slower holder does not store
LEASE_TIMEOUT = 1.0  # seconds after which a lease may be taken over; at least the time of two loads
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05  # seconds between two polls for another reader's load
MAX_CONCURRENT_BATCHES = 4  # of one iteration
INITIAL_ENTRY_SIZE = 8 * 1024  # bytes, before the first entry was read
IN_FLIGHT = 0.1  # seconds in which a reader may still receive the old entry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keyspace:
    """The keys of one class in Redis."""

    prefix: str
    shape: str

    @property
    def generation(self) -> str:
        return self.prefix + "generation"

    @property
    def stats(self) -> str:
        return self.prefix + "stats"

    def entry(self, key: str) -> str:
        return f"{self.prefix}v:{self.shape}:{key}"


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one kind of value is stored: as bytes and back, and for how long; `ttl_missing` is for missing rows.

    `pack` raises NotSerializable for a value that serialization would change.
    """

    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]
    ttl: float
    ttl_missing: float


class NotSerializable(Exception):
    """Serialization would change the value; the message has the cause and the remedy."""


class Reader(Generic[T]):
    """Reads the entries of a class by one set of key fields, whose keys start with `name`."""

    def __init__(
        self, name: str, keyspace: Keyspace, epoch_client: EpochClient, loader: Loader[T], codec: Codec[T], stats: Stats
    ) -> None:
        self._name = name
        self._keyspace = keyspace
        self._epoch_client = epoch_client
        self._loader = loader
        self._codec = codec
        self._stats = stats
        self._pending: PendingReads[T] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing: set[str] = set()
        self._load_time = 0.0  # seconds, a moving average
        self._entry_size = INITIAL_ENTRY_SIZE  # bytes, of the largest recent entry
        self._warned_of_corruption = False
        self._warned_of_size = False
        self._warned_of_loss = False
        self._context = contextvars.copy_context()  # without a request, and outside every transaction
        self._shared = [epoch_client.keys[0], keyspace.generation]
        self._lease = epoch_client.reading.register_script(LEASE)
        self._fill = epoch_client.reading.register_script(FILL)

    def key(self, values: KeyValues) -> str:
        """The name of a key within its class."""
        return f"{self._name}:{encode_key(values)}"

    async def get(self, values: KeyValues) -> T | None:
        """The value, from Redis or loaded; None when there is none."""
        return await self._enqueue(values)

    async def get_many(self, keys: list[KeyValues]) -> list[T | None]:
        """The values in the order of their keys: one request to Redis for each batch, and a query for the missing ones.

        Raises the error of a load.
        """
        futures = [self._enqueue(values) for values in keys]
        try:
            return [await future for future in futures]
        except BaseException:
            for future in futures:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # raised once, for all
            raise

    async def refresh(self, values: KeyValues) -> T | None:
        """Load the value now; it is stored unless another reader holds the lease."""
        read: PendingRead[T] = PendingRead(values, is_valid=False)
        future = asyncio.get_running_loop().create_future()
        read.waiting.append(future)
        self._start(self._load_all({self.key(values): read}))
        value: T | None = await future
        return value

    async def close(self) -> None:
        """Cancel running reads; their callers get NotOpenError."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loader.close()

    def _enqueue(self, values: KeyValues) -> asyncio.Future[T | None]:
        if not self._pending:
            self._start(self._answer_pending())  # in the next iteration of the event loop
        key = self.key(values)
        read = self._pending.get(key)
        if read is None:
            read = self._pending[key] = PendingRead(values)
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        read.waiting.append(future)
        return future

    async def _answer_pending(self) -> None:
        reads, self._pending = self._pending, {}
        semaphore = asyncio.Semaphore(MAX_CONCURRENT_BATCHES)

        async def answer(batch: PendingReads[T]) -> None:
            async with semaphore:
                await self._answer(batch)

        with FailOnError(reads):
            await asyncio.gather(*map(answer, self._batches(reads)))

    def _batches(self, reads: PendingReads[T]) -> Iterator[PendingReads[T]]:
        most = max(1, min(BATCH, BATCH_BYTES // self._entry_size))
        return map(dict, in_batches(list(reads.items()), most=most))

    def _learn_sizes(self, raws: list[bytes | None]) -> None:
        """Update the expected size: at once for larger entries, gradually for smaller ones."""
        if sizes := [len(raw) for raw in raws if raw is not None]:
            self._entry_size = max(1, *sizes, self._entry_size // 2)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, name="reads of a cache model", context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, reads: PendingReads[T]) -> None:
        with FailOnError(reads):
            epoch = self._epoch_client.epoch
            if epoch is None or self._epoch_client.settling:
                await self._bypass(reads)
                return
            try:
                missing = await self._from_redis(reads, epoch)
            except RedisUnavailable:
                missing = reads
                epoch = None
            if epoch is None:
                await self._bypass(missing)
            elif missing:
                self._stats.misses += sum(not read.not_stored for read in missing.values())
                await self._fill_all(missing, epoch)

    async def _from_redis(self, reads: PendingReads[T], epoch: bytes) -> PendingReads[T]:
        """Answer the reads that Redis has, and return the others. Raises RedisUnavailable in another epoch."""
        names = [*self._shared, *(self._keyspace.entry(key) for key in reads)]
        answer: list[Any] = await self._epoch_client.request(self._epoch_client.reading.mget(names))
        current, generation, *raws = answer
        self._check_epoch(current, epoch)
        self._learn_sizes(raws)
        missing: PendingReads[T] = {}
        for (key, read), raw in zip(reads.items(), raws, strict=True):
            if raw is None or not self._answer_from(key, read, raw, epoch, generation):
                missing[key] = read
        return missing

    def _check_epoch(self, current: bytes | None, epoch: bytes) -> None:
        if current != epoch:
            self._epoch_client.check_now()
            raise RedisUnavailable

    def _answer_from(
        self,
        key: str,
        read: PendingRead[T],
        raw: bytes,
        epoch: bytes,
        generation: bytes | None,
        entry_value: object = None,
    ) -> bool:
        """Answer a read by an entry, if it is valid and current."""
        try:
            entry = unpack_entry(raw)
            is_current = _is_current(entry, epoch, generation)
            if is_current and entry.payload == NOT_STORED:
                read.not_stored = True
                return False
            value = self._codec.unpack(entry.payload) if is_current and entry.payload is not None else None
        except (CorruptValue, ValueError) as exc:
            self._record_corrupt(key, exc)
            read.is_valid = False
            return False
        if is_current:
            self._stats.hits += 1
            if _is_refresh_due(entry):
                self._refresh_early(key, read.values)
            read.answer(self._combined(value, entry_value))
        return is_current

    def decode(self, raw: bytes | None, epoch: bytes, generation: bytes | None) -> T | None:
        """The value of an entry that another reader fetched, if it is current."""
        try:
            entry = None if raw is None else unpack_entry(raw)
            if entry is None or entry.payload in (None, NOT_STORED) or not _is_current(entry, epoch, generation):
                return None
            return self._codec.unpack(entry.payload or b"")
        except (CorruptValue, ValueError):
            return None  # its own reader reports it

    def _combined(self, value: T | None, entry_value: object) -> T | None:
        """Override to combine the value with `entry_value`."""
        return value

    def _record_corrupt(self, key: str, error: Exception) -> None:
        self._stats.corrupt += 1
        if not self._warned_of_corruption:
            self._warned_of_corruption = True
            logger.warning(
                "%s is not an entry of a cache model (%s). It is loaded again; further ones are only counted.",
                self._keyspace.entry(key),
                str(error).partition("\n")[0],
            )

    def _refresh_early(self, key: str, values: KeyValues) -> None:
        if key not in self._refreshing:
            self._refreshing.add(key)
            self._start(self._refresh(key, values))

    async def _refresh(self, key: str, values: KeyValues) -> None:
        try:  # errors are ignored: the reader that finds the entry expired raises them
            await self._load_all({key: PendingRead(values, is_valid=False)}, only_leased=True)
        finally:  # readers may still receive the old entry
            asyncio.get_running_loop().call_later(IN_FLIGHT, self._refreshing.discard, key)

    async def _load_all(self, reads: PendingReads[T], *, only_leased: bool = False) -> None:
        with FailOnError(reads):
            epoch = self._epoch_client.epoch
            if epoch is not None:
                try:
                    await self._fill_all(reads, epoch, wait=False, only_leased=only_leased)
                except RedisUnavailable:
                    epoch = None
            if epoch is None and not only_leased:
                await self._bypass(reads)

    async def _fill_all(
        self, reads: PendingReads[T], epoch: bytes, *, wait: bool = True, only_leased: bool = False
    ) -> None:
        """Load and store the keys that this reader has leased; poll for the others."""
        pause = FIRST_PAUSE
        while reads:
            lease = secrets.token_hex(8)
            closed: PendingReads[T] = {key: read for key, read in reads.items() if read.not_stored}
            reads = {key: read for key, read in reads.items() if not read.not_stored}
            try:
                generation, answers = await self._ask_lease(reads, epoch, lease) if reads else (b"", [])
            except RedisUnavailable:
                await self._bypass(reads | closed)
                return
            if not generation:
                await self._bypass(reads | closed)
                return
            leased: PendingReads[T] = {}
            waiting: PendingReads[T] = {}
            for (key, read), answer in zip(reads.items(), answers, strict=True):
                if answer in LEASE_ANSWERS:
                    {b"lease": leased, b"closed": closed, b"wait": waiting if wait else closed}[answer][key] = read
                elif not self._answer_from(key, read, answer, epoch, generation):
                    # A corrupt entry is marked, and not requested again.
                    (closed if read.not_stored else waiting)[key] = read
            if only_leased:
                closed = {}
            if leased or closed:
                self._stats.bypasses += len(closed)
                await self._load(leased | closed, leased, epoch, generation, lease)
            if waiting:
                self._stats.waits += len(waiting) if pause == FIRST_PAUSE else 0
                await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311  (no secret)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            reads = waiting

    async def _ask_lease(self, reads: PendingReads[T], epoch: bytes, lease: str) -> tuple[bytes, list[bytes]]:
        lease_timeout = max(LEASE_TIMEOUT, 2 * self._load_time)
        args: list[Any] = [self._keyspace.prefix, epoch, self._keyspace.shape, secrets.token_hex(4), lease]
        args += [int(lease_timeout * 1000), int(LEASE_TTL * 1000)]
        for key, read in reads.items():
            args += [key, int(read.is_valid)]
        keys = [*self._shared, self._epoch_client.keys[2]]
        generation, *answers = await self._epoch_client.request(self._lease(keys=keys, args=args))
        return generation, answers

    async def _load(
        self, reads: PendingReads[T], leased: PendingReads[T], epoch: bytes, generation: bytes, lease: str
    ) -> None:
        started = time.monotonic()
        try:
            values = await self._load_values(reads)
        except BaseException:
            await self._store([(key, b"", 1) for key in leased], epoch, generation, lease)
            raise
        cost = time.monotonic() - started
        self._load_time += (cost - self._load_time) / 4
        if leased:
            entries = []
            for key in leased:
                try:
                    entries.append(self._stored_form(key, values[key], epoch, generation, cost))
                except Exception as exc:  # raised by the callers that wait for this key
                    values[key] = LoadFailure(exc)
                    entries.append((key, b"", 1))
            stored = await self._store(entries, epoch, generation, lease)
            self._stats.fills += stored
            self._stats.refused += sum(1 for entry in entries if entry[1]) - stored
        for key, read in reads.items():
            read.answer(values[key])

    def _stored_form(
        self, key: str, value: T | LoadFailure | None, epoch: bytes, generation: bytes, cost: float
    ) -> tuple[str, bytes, int]:
        ttl = self._codec.ttl_missing if value is None else self._codec.ttl
        ttl *= 1 - JITTER * random.random()  # noqa: S311  (no secret)
        if not ttl or isinstance(value, LoadFailure):
            return key, b"", 1  # only releases the lease
        payload = None if value is None else self._payload(key, value)
        return key, pack_entry(Entry(epoch, generation, time.time() + ttl, cost, payload)), max(1, int(ttl * 1000))

    def _payload(self, key: str, value: T) -> bytes:
        try:
            return self._bounded(key, self._codec.pack(value))
        except NotSerializable as exc:
            self._stats.lossy += 1
            if not self._warned_of_loss:
                self._warned_of_loss = True
                logger.warning("%s is not stored: %s", self._keyspace.entry(key), exc)
            return NOT_STORED

    def _bounded(self, key: str, payload: bytes) -> bytes:
        if len(payload) <= MAX_VALUE_BYTES:
            return payload
        self._stats.oversized += 1
        if not self._warned_of_size:
            self._warned_of_size = True
            logger.warning(
                "%s has %d bytes, more than the limit of %d. Such entries are read from the database each time; "
                "further ones are only counted. Leave the largest fields out of the class.",
                self._keyspace.entry(key),
                len(payload),
                MAX_VALUE_BYTES,
            )
        return NOT_STORED

    async def _store(self, entries: list[tuple[str, bytes, int]], epoch: bytes, generation: bytes, lease: str) -> int:
        """Store the loaded values, or release their leases; the number of stored entries."""
        keys = [*self._shared, self._epoch_client.keys[2]]
        self._learn_sizes([entry[1] for entry in entries if entry[1]])
        stored = 0
        for batch in in_batches(entries, size=lambda entry: len(entry[1])):
            args: list[Any] = [self._keyspace.prefix, epoch, generation, self._keyspace.shape, lease]
            for entry in batch:
                args += entry
            try:
                stored += await self._epoch_client.request(self._fill(keys=keys, args=args))
            except RedisUnavailable:
                break
        return stored

    async def _bypass(self, reads: PendingReads[T]) -> None:
        self._stats.bypasses += len(reads)
        values = await self._load_values(reads)
        for key, read in reads.items():
            read.answer(values[key])

    async def _load_values(self, reads: PendingReads[T]) -> dict[str, T | LoadFailure | None]:
        values = await self._loader.get([read.values for read in reads.values()])
        return dict(zip(reads, values, strict=True))


def _is_current(entry: Entry, epoch: bytes, generation: bytes | None) -> bool:
    return entry.epoch == epoch and generation is not None and entry.generation == generation[:GENERATION]


LEASE_ANSWERS = frozenset((b"lease", b"wait", b"closed"))


def _is_refresh_due(entry: Entry) -> bool:
    """XFetch: whether this reader refreshes the entry before it expires."""
    early = -entry.cost * BETA * math.log(1.0 - random.random())  # noqa: S311  (no secret)
    return time.time() + early >= entry.expires
