"""The machine's steps, done by the library's own readers and writers, which gates hold between two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from sanicbase import RCModel, get_redis
from sanicbase.cache.entry import unpack_entry
from sanicbase.cache.epoch import EpochClient
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.pending_reads import PendingRead
from sanicbase.db.observers import Write
from tests.cache.cards import Card
from tests.cache.protocol import State

__all__ = ["LIFE", "GatedReplay"]

LIFE = 3600.0  # seconds; time passes when the machine says so
SOON = 5.0  # seconds within which a step is done
KEY = (1,)


class Count(RCModel):
    """What is read; its row is a number of the test's."""

    id: int
    n: int

    class Meta:
        key = "id"
        watches = {Card: "id"}

    @classmethod
    async def load(cls, keys: Sequence[Any]) -> Iterable[Count]:
        raise AssertionError("each process of the test loads by itself")


class Gate:
    """Where somebody is held until it is opened."""

    def __init__(self) -> None:
        self._reached, self._open = asyncio.Event(), asyncio.Event()

    async def go_through(self) -> None:
        self._reached.set()
        await self._open.wait()

    async def reached(self) -> None:
        async with asyncio.timeout(SOON):
            await self._reached.wait()

    def open(self) -> None:
        self._open.set()


class _Process:
    """One process: its readers and writers, and the get that is under way."""

    def __init__(self, epoch_client: EpochClient) -> None:
        self.row = 0
        self.cache = ModelCache(Count, Count._options, self._load, epoch_client, life=LIFE, commit=2.0)
        self.entries = self.cache.entries
        self._store = self.entries._store
        self.entries._store = self._store_later  # type: ignore[assignment,method-assign]
        self.write = Write(Card, ({"id": 1},))
        self.task: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.task.set_result(None)
        self._renew()

    def _renew(self) -> None:
        self.loading, self.storing = Gate(), Gate()

    async def _load(self, keys: list[Any]) -> list[Count]:
        await self.loading.go_through()
        return [Count(id=key, n=self.row) for key in keys]

    async def _store_later(self, *args: Any) -> int:
        await self.storing.go_through()
        return await self._store(*args)

    async def take_lease(self) -> None:
        self._renew()
        self.entries._load_time = 0.0  # or a lease could not be taken over at once
        await asyncio.gather(self.task, return_exceptions=True)
        self.task = asyncio.create_task(self.entries.get(KEY))
        await self.loading.reached()

    async def load(self) -> None:
        self.loading.open()
        await self.storing.reached()

    async def store(self) -> bool:
        """Whether it was stored."""
        before = self.cache.stats.fills
        self.storing.open()
        async with asyncio.timeout(SOON):
            await self.task
        return self.cache.stats.fills > before

    async def hit(self) -> int:
        before = self.cache.stats.hits
        async with asyncio.timeout(SOON):
            entry: Any = await self.entries.get(KEY)
        assert self.cache.stats.hits == before + 1
        count: int = entry.n
        return count

    async def end(self) -> None:
        self.loading.open()
        self.storing.open()
        await self.entries.close()
        await asyncio.gather(self.task, return_exceptions=True)


class GatedReplay:
    """One way through the machine, from an empty Redis on. Nothing beats but what the machine says."""

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._epoch_client = await self._stack.enter_async_context(
            EpochClient("default", timeout=SOON, settle=LIFE, settle_intact=LIFE)
        )
        await self._epoch_client._heartbeat_thread.close()
        await get_redis().delete(self._epoch_client.keys[2])  # nobody else is there, who would know more
        await self._epoch_client._send_heartbeat()
        self._processes = [_Process(self._epoch_client), _Process(self._epoch_client)]
        for process in self._processes:
            self._stack.push_async_callback(process.end)
        await self._reader(0, "takes the lease", None)
        await self._reader(0, "loads and answers", None)
        await self._reader(0, "stores", None)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def take(self, before: State, name: str, after: State) -> None:
        """Do a step, and look whether Redis is as the machine says."""
        actor, _, rest = name.partition(" ")
        if actor in ("writer", "reader"):
            index, _, action = rest.partition(" ")
            await (self._writer if actor == "writer" else self._reader)(int(index), action, before)
        else:
            await self._other(name, before)
        for process in self._processes:
            process.row = after.row
        await self._compare(after)

    async def _writer(self, index: int, action: str, before: State | None) -> None:
        process = self._processes[index]
        writes, write = process.cache.writes, process.write
        step = before.writers[index].step if before else ""
        if action == "closes" and step == "locked":
            await writes.before_write(write)
        elif action in ("closes", "goes to commit"):
            await writes.before_commit([write])
        elif action in ("opens and returns", "drops and returns"):
            await (writes.committed if step == "committed" else writes.rolled_back)([write])
        elif action == "is killed":
            writes._closings.clear()

    async def _reader(self, index: int, action: str, before: State | None) -> None:
        process = self._processes[index]
        if action == "hits":
            assert before is not None
            assert await process.hit() == before.entry
        elif action == "takes the lease":
            await process.take_lease()
        elif action == "loads and answers":
            await process.load()
        else:
            assert await process.store() == (action == "stores")

    async def _other(self, name: str, before: State) -> None:
        redis = get_redis()
        if name == "the entry runs out":
            await redis.delete(self._processes[0].cache.keyspace.entry("k:1"))
        elif name.startswith("the closing of writer"):
            for closing in self._processes[int(name.split()[4])].cache.writes._closings.values():
                closing.since = None
                await redis.zadd(f"{self._processes[0].cache.keyspace.prefix}c:k:1", {closing.token: 1}, xx=True)
        elif name == "settling ends":
            await redis.delete(self._epoch_client.keys[2])
            if before.epoch:
                await self._epoch_client._send_heartbeat()
        elif name == "a beat makes an epoch":
            await self._epoch_client._send_heartbeat()
        elif name == "the epoch ends":
            await redis.delete(self._epoch_client.keys[0])
        elif name == "Redis is emptied":
            await redis.flushdb()

    async def _compare(self, state: State) -> None:
        keyspace = self._processes[0].cache.keyspace
        names = (self._epoch_client.keys[0], keyspace.generation, keyspace.entry("k:1"))
        pipeline = get_redis().pipeline(transaction=False)
        pipeline.mget(names)
        pipeline.exists(self._epoch_client.keys[2])
        replies: list[Any] = await pipeline.execute()
        (epoch, generation, raw), settling = replies
        entry = None if raw is None or generation is None else unpack_entry(raw)
        counts = entry is not None and (entry.epoch, entry.generation) == (epoch, generation[:8])
        count = Count.model_validate_json(entry.payload or b"").n if counts and entry is not None else None
        assert count == state.entry
        assert await self._is_hit() == (state.epoch and state.entry is not None)
        assert bool(settling) == state.settling

    async def _is_hit(self) -> bool:
        """Whether a get would be answered by Redis; nothing is changed by asking."""
        epoch_client, entries = self._epoch_client, self._processes[0].entries
        names = (epoch_client.keys[0], entries.generation_name, entries.entry_prefix + "k:1")
        values: list[Any] = await get_redis().mget(names)
        epoch, generation, raw = values
        if epoch is None or epoch != epoch_client.epoch:
            return False
        return not entries._answer_all({"k:1": PendingRead[Any](KEY, [])}, [raw], epoch, generation)
