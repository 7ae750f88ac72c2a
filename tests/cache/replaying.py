"""The machine's steps, done by the real scripts on a real server; each answer is held against the machine's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from sanicbase.cache.entry import Entry, pack_entry, unpack_entry
from sanicbase.cache.scripts import CLOSE, FILL, HEARTBEAT, LEASE, OPEN
from tests.cache.protocol import State

__all__ = ["Replay"]

LONG = 3_600_000  # milliseconds; time passes when the machine says so
SHARED = ["t:epoch", "t:server", "t:settling", "t:members"]
PREFIX, SHAPE, KEY = "t:C:", "abcdef01", "k:1"
GENERATION, ENTRY = f"{PREFIX}generation", f"{PREFIX}v:{SHAPE}:{KEY}"

Done = Callable[[State, int, State], Awaitable[None]]


class Replay:
    """One way through the machine. `closes` are what each writer closes: the key, or `*`."""

    def __init__(self, redis: Redis, closes: tuple[str, ...]) -> None:
        self._redis = redis
        self._closes = closes
        self._scripts = {text: redis.register_script(text) for text in (HEARTBEAT, CLOSE, FILL, LEASE, OPEN)}
        self._epoch = b""
        self._row = 0
        self._leases: dict[int, tuple[str, bytes, bytes]] = {}  # of each reader: name, epoch, generation
        self._loaded: dict[int, int] = {}
        self._asked = 0

    async def begin(self) -> None:
        """An epoch, and the entry of the first version."""
        await self._beat()
        await self._redis.delete(SHARED[2])  # nobody else is there, who would know more
        assert await self._ask(0) == b"lease"
        assert await self._fill(0, 0) == 1

    async def take(self, before: State, name: str, after: State) -> None:
        """Do a step, and look whether Redis is as the machine says."""
        actor, _, rest = name.partition(" ")
        if actor in ("writer", "reader"):
            index, _, action = rest.partition(" ")
            await getattr(self, f"_{actor}")(int(index), action, before)
        else:
            await self._other(name)
        self._row = after.row
        await self._compare(after)

    async def _writer(self, index: int, action: str, before: State | None) -> None:
        token, key = f"writer-{index}", self._closes[index]
        if action in ("closes", "closes at the second try"):
            await self._scripts[CLOSE](keys=[GENERATION], args=[PREFIX, token, LONG, key])
        elif action in ("opens and returns", "drops and returns"):
            late = int(before is not None and before.writers[index].late)
            await self._scripts[OPEN](keys=[GENERATION], args=[PREFIX, LONG, token, key, late])

    async def _reader(self, index: int, action: str, before: State) -> None:
        if action == "hits":
            answer = await self._ask(index)
            assert unpack_entry(answer).payload == str(before.entry).encode()
        elif action == "takes the lease":
            assert await self._ask(index) == b"lease"
        elif action == "loads and answers":
            self._loaded[index] = self._row
        else:
            assert await self._fill(index, self._loaded[index]) == int(action == "stores")

    async def _other(self, name: str) -> None:
        if name == "the entry runs out":
            await self._redis.delete(ENTRY)
        elif name.startswith("the closing of writer"):
            index = int(name.split()[4])
            await self._redis.zadd(self._closings(index), {f"writer-{index}": 1}, xx=True)
        elif name.startswith("the late closing of writer"):
            await self._writer(int(name.split()[5]), "closes", None)
        elif name == "settling ends":
            await self._redis.delete(SHARED[2])
        elif name == "a beat makes an epoch":
            await self._beat()
        elif name in ("the epoch ends", "the only process is killed"):
            await self._redis.delete(SHARED[0])
            if name == "the only process is killed":
                self._epoch = b""
        elif name == "Redis is emptied":
            await self._redis.flushdb()

    async def _compare(self, state: State) -> None:
        pipeline = self._redis.pipeline(transaction=False)  # nobody else is there who could come between
        pipeline.mget(SHARED[0], GENERATION, ENTRY)
        pipeline.exists(SHARED[2])
        for index in range(len(state.writers)):
            pipeline.zscore(self._closings(index), f"writer-{index}")
        replies: list[Any] = await pipeline.execute()
        (epoch, generation, raw), settling, *closings = replies
        assert (epoch is not None) == state.epoch
        entry = None if raw is None or generation is None else unpack_entry(raw)
        counts = entry is not None and (entry.epoch, entry.generation) == (epoch, generation[:8])
        assert (int(entry.payload or b"") if counts and entry is not None else None) == state.entry
        assert bool(settling) == state.settling
        for writer, until in zip(state.writers, closings, strict=True):
            assert (until is not None and until > 1) == writer.closed
        if state.epoch and state.entry is None:
            await self._compare_refusal(state)

    async def _compare_refusal(self, state: State) -> None:
        """Who asks while nothing may be stored is told so."""
        closed = {self._closes[index] for index, writer in enumerate(state.writers) if writer.closed}
        if state.settling or "*" in closed:
            assert await self._ask(None) == b""
        elif closed:
            assert await self._ask(None) == b"closed"

    async def _ask(self, index: int | None) -> Any:
        """What LEASE answers for the key; a lease that is taken may be taken over at once."""
        self._asked += 1
        lease = f"lease-{self._asked}"
        epoch: Any = await self._redis.get(SHARED[0])
        args: list[Any] = [PREFIX, epoch, SHAPE, f"{self._asked:08d}", lease, 0, LONG, KEY, 1]
        generation, *answers = await self._scripts[LEASE](keys=[SHARED[0], GENERATION, SHARED[2]], args=args)
        if index is not None and answers == [b"lease"]:
            self._leases[index] = (lease, epoch, generation)
        return answers[0] if answers else generation

    async def _fill(self, index: int, version: int) -> Any:
        lease, epoch, generation = self._leases[index]
        entry = pack_entry(Entry(epoch, generation, 4e9, 0.0, str(version).encode()))
        args: list[Any] = [PREFIX, epoch, generation, SHAPE, lease, KEY, entry, LONG]
        return await self._scripts[FILL](keys=[SHARED[0], GENERATION, SHARED[2]], args=args)

    async def _beat(self) -> None:
        self._asked += 1
        args: list[Any] = [self._epoch, "me", "", 0, LONG, LONG, LONG, f"{self._asked:08d}"]
        self._epoch = (await self._scripts[HEARTBEAT](keys=SHARED, args=args))[0]

    def _closings(self, index: int) -> str:
        return f"{PREFIX}c:{self._closes[index]}"
