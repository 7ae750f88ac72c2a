"""Reading a class's entries: what is asked for in one turn of the event loop is one request to Redis.

A get that misses takes a lease, loads from the database and stores, which succeeds only while the lease is the newest
and nobody has closed the key: memcached's leases, of Nishtala et al., Scaling Memcache at Facebook (NSDI 2013). Who
finds a lease taken looks for the entry until it is there, or the holder has taken too long. An entry that is about to
expire is loaded by one of its readers before it does, the more probably the nearer and the dearer it is: Vattani,
Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede Prevention (VLDB 2015).

Requests are bounded, see batches.py: many keys are read in batches of BATCH, of fewer where entries are large. A value
that has more than LARGEST_VALUE bytes is not stored, nor is one that its bytes would not give back. An entry without a
value says so, and its readers load at once.
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

from sanicbase.cache.batches import BATCH, BATCH_BYTES, LARGEST_VALUE, in_batches
from sanicbase.cache.entry import GENERATION, NOT_STORED, Entry, pack_entry, unpack_entry
from sanicbase.cache.keys import encoded
from sanicbase.cache.loader import Loader
from sanicbase.cache.scripts import FILL, LEASE
from sanicbase.cache.stats import Stats
from sanicbase.cache.trust import Away, Trust
from sanicbase.cache.wants import Failed, Failing, Values, Want, Wants
from sanicbase.errors import CorruptValue

__all__ = ["Kept", "NotKept", "Place", "Reader"]

logger = logging.getLogger("sanicbase.cache")

JITTER = 0.1  # of the ttl, so that entries filled together do not expire together
BETA = 1.0  # of XFetch; higher is earlier
LEASE_LIFE = 60.0  # seconds; a holder that needs longer does not store
PATIENCE = 1.0  # seconds after which a lease may be taken over, or two loads if that is longer
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05  # seconds between two looks for what another one loads
AT_ONCE = 4  # batches of one turn
FIRST_SIZE = 8 * 1024  # bytes of an entry, as long as none was seen
ON_THE_WAY = 0.1  # seconds that an answer of Redis may take to the reader who asked

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the entries of one class are in Redis."""

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
class Kept(Generic[T]):
    """How one kind of value is kept: as bytes and back, and for how long; `ttl_missing` is for what there is not.

    `pack` raises NotKept for a value that its bytes would not give back.
    """

    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]
    ttl: float
    ttl_missing: float


class NotKept(Exception):
    """Bytes would not give back the value; the sentence says why, and what to do."""


class Reader(Generic[T]):
    """Reads the entries of one index of a class. `name` tells its keys from those of the others."""

    def __init__(self, name: str, place: Place, trust: Trust, loader: Loader[T], kept: Kept[T], stats: Stats) -> None:
        self._name = name
        self._place = place
        self._trust = trust
        self._loader = loader
        self._kept = kept
        self._stats = stats
        self._gathered: Wants[T] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing: set[str] = set()
        self._load_time = 0.0  # seconds, about
        self._size = FIRST_SIZE  # bytes of the largest of the last entries, about
        self._warned = False
        self._warned_of_size = False
        self._warned_of_loss = False
        self._context = contextvars.copy_context()  # of nobody's request, and outside of every transaction
        self._shared = [trust.keys[0], place.generation]
        self._lease = trust.reading.register_script(LEASE)
        self._fill = trust.reading.register_script(FILL)

    def key(self, values: Values) -> str:
        """The name of a key among those of its class."""
        return f"{self._name}:{encoded(values)}"

    async def get(self, values: Values) -> T | None:
        """The value, from Redis or loaded; None when there is none."""
        return await self._asked(values)

    async def get_many(self, keys: list[Values]) -> list[T | None]:
        """The values in the order of their keys: one request to Redis for each batch, and a query for what it has not.

        Raises what the load of one of them has raised.
        """
        futures = [self._asked(values) for values in keys]
        try:
            return [await future for future in futures]
        except BaseException:
            for future in futures:
                if not future.cancel() and not future.cancelled():
                    future.exception()  # which is raised once, for all
            raise

    async def refresh(self, values: Values) -> T | None:
        """The value as it is loaded now; it is stored unless somebody loads it already."""
        want: Want[T] = Want(values, sound=False)
        future = asyncio.get_running_loop().create_future()
        want.waiting.append(future)
        self._start(self._load_all({self.key(values): want}))
        found: T | None = await future
        return found

    async def close(self) -> None:
        """End what is under way; whoever waits for it is told that Redis is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loader.close()

    # From here on `wants` are keys of one request.

    def _asked(self, values: Values) -> asyncio.Future[T | None]:
        if not self._gathered:
            self._start(self._answer_gathered())  # when this turn of the event loop is over
        key = self.key(values)
        want = self._gathered.get(key)
        if want is None:
            want = self._gathered[key] = Want(values)
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        want.waiting.append(future)
        return future

    async def _answer_gathered(self) -> None:
        wants, self._gathered = self._gathered, {}
        turns = asyncio.Semaphore(AT_ONCE)

        async def answer(batch: Wants[T]) -> None:
            async with turns:
                await self._answer(batch)

        with Failing(wants):
            await asyncio.gather(*map(answer, self._batches(wants)))

    def _batches(self, wants: Wants[T]) -> Iterator[Wants[T]]:
        most = max(1, min(BATCH, BATCH_BYTES // self._size))
        return map(dict, in_batches(list(wants.items()), most=most))

    def _sized(self, raws: list[bytes | None]) -> None:
        """Learn how large entries are: one that is larger counts at once, smaller ones little by little."""
        if sizes := [len(raw) for raw in raws if raw is not None]:
            self._size = max(1, *sizes, self._size // 2)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work, name="reads of a cache model", context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, wants: Wants[T]) -> None:
        with Failing(wants):
            epoch = self._trust.epoch
            if epoch is None or self._trust.settling:
                await self._bypass(wants)
                return
            try:
                missing = await self._from_redis(wants, epoch)
            except Away:
                missing = wants
                epoch = None
            if epoch is None:
                await self._bypass(missing)
            elif missing:
                self._stats.misses += sum(not want.not_stored for want in missing.values())
                await self._fill_all(missing, epoch)

    async def _from_redis(self, wants: Wants[T], epoch: bytes) -> Wants[T]:
        """Answer what Redis has; the others are returned. Raises Away when its answer does not count."""
        names = [*self._shared, *(self._place.entry(key) for key in wants)]
        answer: list[Any] = await self._trust.asked(self._trust.reading.mget(names))
        current, generation, *found = answer
        self._check(current, epoch)
        self._sized(found)
        missing: Wants[T] = {}
        for (key, want), raw in zip(wants.items(), found, strict=True):
            if raw is None or not self._take(key, want, raw, epoch, generation):
                missing[key] = want
        return missing

    def _check(self, current: bytes | None, epoch: bytes) -> None:
        if current != epoch:
            self._trust.look_again()
            raise Away

    def _take(
        self,
        key: str,
        want: Want[T],
        raw: bytes,
        epoch: bytes,
        generation: bytes | None,
        beside: object = None,
    ) -> bool:
        """Answer by an entry, if it is one and counts."""
        try:
            entry = unpack_entry(raw)
            counts = _counts(entry, epoch, generation)
            if counts and entry.payload == NOT_STORED:
                want.not_stored = True
                return False
            found = self._kept.unpack(entry.payload) if counts and entry.payload is not None else None
        except (CorruptValue, ValueError) as exc:
            self._not_ours(key, exc)
            want.sound = False
            return False
        if counts:
            self._stats.hits += 1
            if _is_due(entry):
                self._refresh_early(key, want.values)
            want.answer(self._with(found, beside))
        return counts

    def decoded(self, raw: bytes | None, epoch: bytes, generation: bytes | None) -> T | None:
        """The value of an entry that was read elsewhere, if it counts."""
        try:
            entry = None if raw is None else unpack_entry(raw)
            if entry is None or entry.payload in (None, NOT_STORED) or not _counts(entry, epoch, generation):
                return None
            return self._kept.unpack(entry.payload or b"")
        except (CorruptValue, ValueError):
            return None  # whoever reads it by itself will say so

    def _with(self, found: T | None, beside: object) -> T | None:
        """Override to make use of what was read beside an entry."""
        return found

    def _not_ours(self, key: str, error: Exception) -> None:
        self._stats.corrupt += 1
        if not self._warned:
            self._warned = True
            logger.warning(
                "%s is not what a cache model stores (%s). It is read anew, as are others like it, which are counted.",
                self._place.entry(key),
                str(error).partition("\n")[0],
            )

    def _refresh_early(self, key: str, values: Values) -> None:
        if key not in self._refreshing:
            self._refreshing.add(key)
            self._start(self._refreshed(key, values))

    async def _refreshed(self, key: str, values: Values) -> None:
        try:  # what goes wrong is told to nobody: whoever finds the entry expired will see it
            await self._load_all({key: Want(values, sound=False)}, only_leased=True)
        finally:  # readers that are on their way still bring the old entry
            asyncio.get_running_loop().call_later(ON_THE_WAY, self._refreshing.discard, key)

    async def _load_all(self, wants: Wants[T], *, only_leased: bool = False) -> None:
        with Failing(wants):
            epoch = self._trust.epoch
            if epoch is not None:
                try:
                    await self._fill_all(wants, epoch, wait=False, only_leased=only_leased)
                except Away:
                    epoch = None
            if epoch is None and not only_leased:
                await self._bypass(wants)

    async def _fill_all(self, wants: Wants[T], epoch: bytes, *, wait: bool = True, only_leased: bool = False) -> None:
        """Load and store what nobody else loads; look for the rest until it is there."""
        pause = FIRST_PAUSE
        while wants:
            lease = secrets.token_hex(8)
            closed: Wants[T] = {key: want for key, want in wants.items() if want.not_stored}
            wants = {key: want for key, want in wants.items() if not want.not_stored}
            try:
                generation, answers = await self._ask_lease(wants, epoch, lease) if wants else (b"", [])
            except Away:
                await self._bypass(wants | closed)
                return
            if not generation:
                await self._bypass(wants | closed)
                return
            leased: Wants[T] = {}
            waiting: Wants[T] = {}
            for (key, want), answer in zip(wants.items(), answers, strict=True):
                if answer in KINDS:
                    {b"lease": leased, b"closed": closed, b"wait": waiting if wait else closed}[answer][key] = want
                elif not self._take(key, want, answer, epoch, generation):
                    # One that is not ours is not asked for as it is again.
                    (closed if want.not_stored else waiting)[key] = want
            if only_leased:
                closed = {}
            if leased or closed:
                self._stats.bypasses += len(closed)
                await self._load(leased | closed, leased, epoch, generation, lease)
            if waiting:
                self._stats.waits += len(waiting) if pause == FIRST_PAUSE else 0
                await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311  (no secret)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            wants = waiting

    async def _ask_lease(self, wants: Wants[T], epoch: bytes, lease: str) -> tuple[bytes, list[bytes]]:
        patience = max(PATIENCE, 2 * self._load_time)
        args: list[Any] = [self._place.prefix, epoch, self._place.shape, secrets.token_hex(4), lease]
        args += [int(patience * 1000), int(LEASE_LIFE * 1000)]
        for key, want in wants.items():
            args += [key, int(want.sound)]
        keys = [*self._shared, self._trust.keys[2]]
        generation, *answers = await self._trust.asked(self._lease(keys=keys, args=args))
        return generation, answers

    async def _load(self, wants: Wants[T], leased: Wants[T], epoch: bytes, generation: bytes, lease: str) -> None:
        begun = time.monotonic()
        try:
            found = await self._loaded(wants)
        except BaseException:
            await self._store([(key, b"", 1) for key in leased], epoch, generation, lease)
            raise
        cost = time.monotonic() - begun
        self._load_time += (cost - self._load_time) / 4
        if leased:
            entries = []
            for key in leased:
                try:
                    entries.append(self._packed(key, found[key], epoch, generation, cost))
                except Exception as exc:  # raised by the callers that wait for this key
                    found[key] = Failed(exc)
                    entries.append((key, b"", 1))
            stored = await self._store(entries, epoch, generation, lease)
            self._stats.fills += stored
            self._stats.refused += sum(1 for entry in entries if entry[1]) - stored
        for key, want in wants.items():
            want.answer(found[key])

    def _packed(
        self, key: str, found: T | Failed | None, epoch: bytes, generation: bytes, cost: float
    ) -> tuple[str, bytes, int]:
        ttl = self._kept.ttl_missing if found is None else self._kept.ttl
        ttl *= 1 - JITTER * random.random()  # noqa: S311  (no secret)
        if not ttl or isinstance(found, Failed):
            return key, b"", 1  # nothing is stored, and the lease is given back
        payload = None if found is None else self._payload(key, found)
        return key, pack_entry(Entry(epoch, generation, time.time() + ttl, cost, payload)), max(1, int(ttl * 1000))

    def _payload(self, key: str, found: T) -> bytes:
        try:
            return self._bounded(key, self._kept.pack(found))
        except NotKept as exc:
            self._stats.lossy += 1
            if not self._warned_of_loss:
                self._warned_of_loss = True
                logger.warning("%s is not stored: %s", self._place.entry(key), exc)
            return NOT_STORED

    def _bounded(self, key: str, payload: bytes) -> bytes:
        if len(payload) <= LARGEST_VALUE:
            return payload
        self._stats.oversized += 1
        if not self._warned_of_size:
            self._warned_of_size = True
            logger.warning(
                "%s has %d bytes, and a cache model stores %d at most. It is read from the database each time, as are "
                "others like it, which are counted. Leave its largest fields out of the class.",
                self._place.entry(key),
                len(payload),
                LARGEST_VALUE,
            )
        return NOT_STORED

    async def _store(self, entries: list[tuple[str, bytes, int]], epoch: bytes, generation: bytes, lease: str) -> int:
        """Store what was loaded under a lease, or give the lease back; how many entries were stored."""
        keys = [*self._shared, self._trust.keys[2]]
        self._sized([entry[1] for entry in entries if entry[1]])
        stored = 0
        for batch in in_batches(entries, size=lambda entry: len(entry[1])):
            args: list[Any] = [self._place.prefix, epoch, generation, self._place.shape, lease]
            for entry in batch:
                args += entry
            try:
                stored += await self._trust.asked(self._fill(keys=keys, args=args))
            except Away:
                break
        return stored

    async def _bypass(self, wants: Wants[T]) -> None:
        self._stats.bypasses += len(wants)
        found = await self._loaded(wants)
        for key, want in wants.items():
            want.answer(found[key])

    async def _loaded(self, wants: Wants[T]) -> dict[str, T | Failed | None]:
        found = await self._loader.get([want.values for want in wants.values()])
        return dict(zip(wants, found, strict=True))


def _counts(entry: Entry, epoch: bytes, generation: bytes | None) -> bool:
    return entry.epoch == epoch and generation is not None and entry.generation == generation[:GENERATION]


KINDS = frozenset((b"lease", b"wait", b"closed"))


def _is_due(entry: Entry) -> bool:
    """XFetch: whether this reader is to load the entry before it expires."""
    early = -entry.cost * BETA * math.log(1.0 - random.random())  # noqa: S311  (no secret)
    return time.time() + early >= entry.expires
