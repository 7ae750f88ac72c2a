"""Reads of a class's entries; all reads in one iteration of the event loop share a request to Redis, see
entry_requests.py.

A miss takes a lease, loads from the database and stores the value, which succeeds only while the lease is the newest
and the key is not closed: the leases of Nishtala et al., Scaling Memcache at Facebook (NSDI 2013). A reader that finds
a lease taken polls for the entry until it is stored or the lease times out. An entry close to its expiry is refreshed
early by one of its readers, with a probability that grows with the cost of its load: Vattani, Chierichetti, Lowenstein,
Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).

Requests are limited, see batches.py: BATCH keys at a time, fewer for large entries. A value of more than
MAX_VALUE_BYTES bytes is not stored, and neither is one that serialization would change. Its entry records this, and its
readers load immediately.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
import secrets
import time
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from sanicbase.cache.audit import Audit, Auditor
from sanicbase.cache.batches import BATCH, BATCH_BYTES, MAX_VALUE_BYTES, in_batches
from sanicbase.cache.codec import Codec, Keyspace, NotSerializable
from sanicbase.cache.entry import (
    NOT_STORED,
    Entry,
    entry_start,
    lasting_payloads,
    pack_entry,
    unpack_entry,
    unpack_times,
)
from sanicbase.cache.epoch import EpochClient, RedisUnavailable
from sanicbase.cache.keys import encode_key
from sanicbase.cache.loader import Loader
from sanicbase.cache.local import LocalEntries, LocalTier
from sanicbase.cache.pending_reads import (
    KeyValues,
    LoadFailure,
    ManyReads,
    PendingRead,
    PendingReads,
    Reads,
    fail_all,
    ignore_all,
    wait_for_all,
)
from sanicbase.cache.scripts import FILL, LEASE
from sanicbase.cache.stats import Stats
from sanicbase.errors import NotOpenError

__all__ = ["NOT_FOUND", "Reader"]

logger = logging.getLogger("sanicbase.cache")

JITTER = 0.1  # of the ttl, so that entries stored together do not expire together
BETA = 1.0  # of XFetch; a higher value refreshes earlier
MAX_EARLINESS = 37 * BETA  # times the cost of a load; the logarithm of a random number is not larger
LEASE_TTL = 60.0  # seconds; a slower holder does not store
LEASE_TIMEOUT = 1.0  # seconds after which a lease may be taken over; at least the time of two loads
FIRST_PAUSE, MAX_PAUSE = 0.002, 0.05  # seconds between two polls for another reader's load
INITIAL_ENTRY_SIZE = 8 * 1024  # bytes, before the first entry was read
CLOSED = "Redis was closed during this read."
IN_FLIGHT = 0.1  # seconds in which a reader may still receive the old entry

T = TypeVar("T")
NOT_FOUND = object()


class Reader(Generic[T]):
    """Reads the entries of a class by one set of key fields, whose keys start with `name`."""

    def __init__(
        self,
        name: str,
        keyspace: Keyspace,
        epoch_client: EpochClient,
        loader: Loader[T],
        codec: Codec[T],
        stats: Stats,
        local_tier: LocalTier | None = None,
    ) -> None:
        self._name = name
        self._keyspace = keyspace
        self._epoch_client = epoch_client
        self._loader = loader
        self._codec = codec
        self._unpack = codec.unpack
        self._stats = stats
        self._pending: PendingReads[T] = {}
        self._many: ManyReads[T] | None = None  # the first `read_many` of this turn, when it is the first read
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing: set[str] = set()
        self._load_time = 0.0  # seconds, a moving average
        self._entry_size = INITIAL_ENTRY_SIZE  # bytes, of the largest recent entry
        self._warned_of_corruption = False
        self._warned_of_size = False
        self._warned_of_loss = False
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # without a request, and outside every transaction
        self.entry_prefix = keyspace.entry("")
        self.generation_name = keyspace.generation
        self._copy = codec.copy
        self._requests = epoch_client.entry_requests if local_tier is None else local_tier.requests
        self.auditor: Auditor | None = None
        self.local: LocalEntries[T] | None = None
        if local_tier is not None:
            self.local = local_tier.add_class(self.generation_name, self.entry_prefix)
        self._shared = [epoch_client.keys[0], keyspace.generation]
        self._lease = epoch_client.reading.register_script(LEASE)
        self._fill = epoch_client.reading.register_script(FILL)

    def key(self, values: KeyValues) -> str:
        """The name of a key within its class."""
        return f"{self._name}:{encode_key(values)}"

    async def get(self, values: KeyValues) -> T | None:
        """The value, from Redis or loaded; None when there is none."""
        return await self.read(self.key(values), values)

    def read(self, key: str, values: KeyValues) -> asyncio.Future[T | None]:
        """An awaitable value of the key with that name and those values."""
        future: asyncio.Future[T | None] = self._loop.create_future()
        read = self._pending.get(key)
        if read is not None:
            read.waiting.append(future)
            return future
        if not self._pending and self._many is None:
            self._schedule()
        self._pending[key] = PendingRead(values, [future])
        return future

    async def read_many(self, keys: Sequence[tuple[str, KeyValues]]) -> list[T | None]:
        """The values in the order of their keys: one request to Redis for each batch, and a query for the missing ones.

        Raises the error of a load.
        """
        if self._pending or self._many is not None or not 1 < len(keys) <= self._max_items():
            return await wait_for_all([self.read(key, values) for key, values in keys])
        many = self._many = ManyReads(keys, self._loop.create_future())
        self._schedule()
        try:
            values = await many.answer
        except BaseException:
            ignore_all(many.futures)
            raise
        return await wait_for_all(many.futures) if values is None else values

    async def refresh(self, values: KeyValues) -> T | None:
        """Load the value now; it is stored unless another reader holds the lease."""
        future: asyncio.Future[T | None] = self._loop.create_future()
        reads = {self.key(values): PendingRead(values, [future], is_valid=False)}
        self._start(self._load_all(reads), reads)
        return await future

    async def close(self) -> None:
        """Cancel running reads; their callers get NotOpenError, including those whose request has not been answered
        yet."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loader.close()

    def take_pending(self) -> Iterator[tuple[Reads[T], float]]:
        """See EntryReader."""
        max_items = self._max_items()
        many, self._many = self._many, None
        if many is not None:
            yield many, len(many) / max_items
        reads, self._pending = self._pending, {}
        if len(reads) <= max_items:
            if reads:
                yield reads, len(reads) / max_items
            return
        for batch in in_batches(list(reads.items()), max_items=max_items):
            yield dict(batch), len(batch) / max_items

    def answer(self, reads: Reads[T], raws: list[bytes | None], epoch: bytes, generation: bytes | None) -> None:
        """See EntryReader."""
        values = self._values_of_hits(raws, epoch, generation)
        if isinstance(reads, ManyReads):
            if values is not None:
                reads.set_result(values)
                return
            raws = list(dict(zip(reads, raws, strict=True)).values())
            reads = reads.one_by_one()
        elif values is not None:
            copy = self._copy
            for read, value in zip(reads.values(), values, strict=True):
                read.answer(value, copy)
            return
        missing = self._answer_all(reads, raws, epoch, generation)
        if missing:
            self._start(self._answer_missing(missing, epoch), missing)

    def bypass(self, reads: Reads[T]) -> None:
        """See EntryReader."""
        if isinstance(reads, ManyReads):
            reads = reads.one_by_one()
        self._start(self._bypass(reads), reads)

    def _max_items(self) -> int:
        return max(1, min(BATCH, BATCH_BYTES // self._entry_size))

    def _schedule(self) -> None:
        """Override to answer pending reads by another request."""
        self._requests.schedule(self)

    def _learn_sizes(self, raws: Sequence[bytes | None]) -> None:
        """Update the expected size: at once for larger entries, gradually for smaller ones."""
        if largest := max(map(len, filter(None, raws)), default=0):
            self._entry_size = max(1, largest, self._entry_size // 2)

    def _start(self, work: Coroutine[Any, Any, None], reads: PendingReads[T]) -> None:
        """Start a task that answers the reads. When it fails, their callers raise its error."""
        if self._closed:
            work.close()
            fail_all(reads, NotOpenError(CLOSED))
            return
        task = self._loop.create_task(work, name="reads of a cache model", context=self._context)
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, reads))

    def _end(self, reads: PendingReads[T], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            fail_all(reads, NotOpenError(CLOSED))
        elif error := task.exception():
            fail_all(reads, error)

    async def _answer_missing(self, reads: PendingReads[T], epoch: bytes) -> None:
        self._stats.misses += sum(not read.not_stored for read in reads.values())
        await self._fill_all(reads, epoch)

    def _values_of_hits(
        self, raws: Sequence[bytes | None], epoch: bytes, generation: bytes | None
    ) -> list[T | None] | None:
        """The values of the entries; None unless all of them are valid and need only decoding."""
        if generation is None or self.local is not None or self.auditor is not None:
            return None
        start, unpack = entry_start(epoch, generation), self._unpack
        try:
            payloads = lasting_payloads(raws, start, time.time(), MAX_EARLINESS)
            if payloads is None or NOT_STORED in payloads:
                return None
            values = [unpack(payload) if payload else None for payload in payloads]
        except Exception:  # found again, and reported, for the key that has it
            return None
        self._learn_sizes(raws)
        self._stats.hits += len(values)
        return values

    def _answer_all(
        self, reads: PendingReads[T], raws: Sequence[bytes | None], epoch: bytes, generation: bytes | None
    ) -> PendingReads[T]:
        """Answer the reads that Redis has, and return the others."""
        self._learn_sizes(raws)
        if generation is None:
            return reads
        start, now = entry_start(epoch, generation), time.time()
        missing: PendingReads[T] = {}
        value_of, local, copy, auditor = self._value_of, self.local, self._copy, self.auditor
        for (key, read), raw in zip(reads.items(), raws, strict=True):
            if raw is None or (value := value_of(key, read, raw, start, now)) is NOT_FOUND:
                missing[key] = read
                continue
            if local is not None:
                self._keep_local(local, key, raw, value, now)
                value = self._own(value)
            read.answer(value, copy)
            if auditor is not None and auditor.selects():
                auditor.start(Audit(key, read.values, raw))
        self._stats.hits += len(reads) - len(missing)
        return missing

    async def fetch(self, key: str) -> tuple[bytes, T | None] | None:
        """The entry in Redis with its value, if it is valid at this moment."""
        epoch = self._epoch_client.valid_epoch
        try:
            names = [*self._shared, self.entry_prefix + key]
            answer: list[Any] = await self._epoch_client.request(self._epoch_client.reading.mget(names))
        except RedisUnavailable:
            return None
        current, generation, raw = answer
        if None in answer or current != epoch or not raw.startswith(entry_start(current, generation)):
            return None
        _, _, payload = unpack_times(raw)
        return None if payload == NOT_STORED else (raw, self._unpack(payload) if payload else None)

    def _keep_local(self, local: LocalEntries[T], key: str, raw: bytes, value: T | None, now: float) -> None:
        """Keep an entry in memory until the readers begin to refresh it."""
        expires, cost, payload = unpack_times(raw)
        if (lifetime := expires - cost * MAX_EARLINESS - now) > 0:
            local.keep(key, value, lifetime, len(payload))

    def _own(self, value: T | None) -> T | None:
        return value if self._copy is None or value is None else self._copy(value)

    def _value_of(self, key: str, read: PendingRead[T], raw: bytes, start: bytes, now: float) -> Any:
        """The value of an entry, or NOT_FOUND when it does not start as valid ones do, is corrupt, or has no value."""
        try:
            if not raw.startswith(start):
                unpack_entry(raw)
                return NOT_FOUND
            expires, cost, payload = unpack_times(raw)
            if payload == NOT_STORED:
                read.not_stored = True
                return NOT_FOUND
            value = self._unpack(payload) if payload else None
        except Exception as exc:  # a validator may raise anything, and others wait for the same request
            self._record_corrupt(key, exc)
            read.is_valid = False
            return NOT_FOUND
        if now + cost * MAX_EARLINESS >= expires and _is_refresh_due(expires, cost, now):
            self._refresh_early(key, read.values)
        return value

    def decode(self, raw: bytes | None, start: bytes) -> T | None:
        """The value of an entry that another reader fetched, if it starts as valid ones do."""
        if raw is None or not raw.startswith(start):
            return None
        try:
            _, _, payload = unpack_times(raw)
            return self._unpack(payload) if payload and payload != NOT_STORED else None
        except Exception:
            return None  # its own reader reports it

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
            reads: PendingReads[T] = {key: PendingRead(values, [], is_valid=False)}
            self._start(self._refresh(key, reads), reads)

    async def _refresh(self, key: str, reads: PendingReads[T]) -> None:
        try:  # errors are ignored: the reader that finds the entry expired raises them
            await self._load_all(reads, only_leased=True)
        finally:  # readers may still receive the old entry
            asyncio.get_running_loop().call_later(IN_FLIGHT, self._refreshing.discard, key)

    async def _load_all(self, reads: PendingReads[T], *, only_leased: bool = False) -> None:
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
            start = entry_start(epoch, generation)
            leased: PendingReads[T] = {}
            waiting: PendingReads[T] = {}
            for (key, read), answer in zip(reads.items(), answers, strict=True):
                if answer in LEASE_ANSWERS:
                    {b"lease": leased, b"closed": closed, b"wait": waiting if wait else closed}[answer][key] = read
                elif (value := self._value_of(key, read, answer, start, time.time())) is not NOT_FOUND:
                    self._stats.hits += 1
                    read.answer(value, self._copy)
                else:  # a corrupt entry is marked, and not requested again
                    (closed if read.not_stored else waiting)[key] = read
            if only_leased:
                closed = {}
            if leased or closed:
                self._stats.bypasses += len(closed)
                await self._load(leased | closed, leased, epoch, generation, lease)
            if waiting:
                self._stats.waits += len(waiting) if pause == FIRST_PAUSE else 0
                await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311  (no secret)
                pause = min(pause * 1.5, MAX_PAUSE)
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
            read.answer(values[key], self._copy)

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
            read.answer(values[key], self._copy)

    async def _load_values(self, reads: PendingReads[T]) -> dict[str, T | LoadFailure | None]:
        values = await self._loader.get([read.values for read in reads.values()])
        return dict(zip(reads, values, strict=True))


LEASE_ANSWERS = frozenset((b"lease", b"wait", b"closed"))


def _is_refresh_due(expires: float, cost: float, now: float) -> bool:
    """XFetch: whether this reader refreshes an entry before it expires."""
    early = -cost * BETA * math.log(1.0 - random.random())  # noqa: S311  (no secret)
    return now + early >= expires
