"""Trust: whether this process may believe what one Redis has in its cache, and what it does when it may not.

Everything in the cache belongs to an epoch, which is a key in Redis that lives for PULSE seconds. Each process that
takes part beats: it lengthens that life four times a second. So when Redis was out of reach of all for longer, the
epoch has ended by Redis' own clock, before anybody could read from it again; and so it has when Redis was emptied. A
server that is not the one that made the epoch, because it was started anew or has taken over, ends it with the first
beat, which is the first thing said on every connection.

Beats come from a thread with connections of its own, see beats.py. While the event loop stands still, none of its
writers goes on, so a beat that is sent meanwhile vouches for nothing that does not hold. When the loop goes on and some
connections reach Redis while others do not, the epoch lives by those that do. Therefore a writer does not judge by its
own requests alone: Redis is silent when neither a request nor a beat of this process is answered. A writer whose
requests fail while beats are answered waits, and fails by ResourceError.

A process that makes the next epoch has all of them settle: they store nothing while there may be commits that no
closing protects. How long that is depends on what Redis has lost:

| why there is a new epoch | all settle for | because |
|---|---|---|
| another server, or an emptied one | the life of a closing | closings may be lost |
| nobody has beaten for PULSE seconds | the time of a commit | Redis has all closings; one writer may have had none |
| Redis is empty, and no epoch is known | one PULSE | those who know of one make another meanwhile |

The second row is that of the only process, killed or stopped: Redis cannot tell its death from an outage, in which it
may have sent a commit without a closing just before.

| what happens | a reader | a writer |
|---|---|---|
| no answer within `timeout` | reads the database; the beats look for Redis | asks on, until the epoch has ended |
| Redis answers within half a PULSE | goes on in the same epoch | has closed its keys |
| later | a new epoch | goes on after 1.3 s: by then the epoch has ended |
| Redis refuses writes: it is full | reads the database, as beats fail | ends the epoch |
| Redis refuses everything | reads the database | fails, by ResourceError |
| the event loop stands still | reads the database once; the beats go on | asks anew |
| all threads do: by SIGSTOP, or one long call in C | the same; the epoch ends unless others beat | asks anew |
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError

from sanicbase.cache.beats import Beats
from sanicbase.cache.scripts import BEAT, LEAVE
from sanicbase.errors import ResourceError
from sanicbase.rc.clients import low_timeout_redis, namespace

__all__ = ["Away", "Trust"]

logger = logging.getLogger("sanicbase.cache")

PULSE = 1.0  # seconds that an epoch lives without a beat
BEAT_EVERY = 0.25  # seconds
PROBE_EVERY = 0.1  # seconds, while Redis is away
ASK_FOR = 0.3  # seconds that a writer waits for an answer before it asks again
GAP = PULSE / 2  # seconds; what takes so much longer than a request may proves no silence
MARGIN = 0.2  # seconds, for what a loop is late
START = 3.0  # seconds that the first beat has
LATE = 1.3  # times the timeout: a timer of an event loop that runs is not as late as that
LEFT = 7 * 86400.0  # seconds that the last process leaves the epoch to the next one
UNREACHED = (RedisError, OSError, TimeoutError)
REFUSALS = (ResponseError, AuthenticationError, AuthorizationError)
FULL = "max number of clients"  # which redis-py does not tell from silence

CAUSES = {
    "f": "knew nothing of this service",
    "e": "was emptied",
    "s": "was restarted, or a replica has taken its place",
    "x": f"was reached by no process of this service for {PULSE:g} second",
    "m": f"was out of reach of a process for more than {PULSE / 2:g} seconds",
}
"""Why an epoch was made, by its first letter."""
FORGOTTEN = "so what was cached is forgotten, and nothing is stored until all commits of before have ended"

T = TypeVar("T")


class Away(Exception):
    """Redis did not answer in time, or not with an answer: read the database."""


class Trust:
    """One Redis, as far as its cache is concerned. Open it by `async with`; one event loop, one service.

    Opening waits `start` seconds for a first beat that succeeds. Without one, nothing is believed until the next.
    """

    def __init__(
        self, connection: str, *, timeout: float, settle: float, settle_intact: float, start: float = START
    ) -> None:
        self._name = connection
        self._start = start
        self._timeout = timeout
        self._settle = settle, settle_intact  # seconds, after closings may be lost and where Redis has them all
        self.epoch: bytes | None = None
        """The epoch whose entries count; None while Redis is not to be trusted."""
        self.settling = False
        self._known = b""  # the last one that counted
        self._member = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._ahead: float | None = None  # milliseconds that Redis' clock is ahead of our monotonic one
        self._patience = PULSE + timeout + MARGIN  # of a writer: after such a silence the epoch has ended
        self._gap = timeout + GAP
        self._lock = threading.Lock()  # of the next three, which requests and beats change
        self._silent_since: float | None = None
        self._late = False  # whether it was opened without a beat
        self._failed_at = 0.0
        self._heard_at = 0.0
        self._beaten_at = monotonic()
        self._stood = 0.0  # seconds between the last two beats, when the whole process stood still
        self._owing = False
        prefix = f"{namespace()}:rc:"
        self.keys = [prefix + name for name in ("epoch", "server", "settling", "members")]

    async def __aenter__(self) -> Trust:
        self.reading: Redis = low_timeout_redis(self._name, timeout=self._timeout, on_connect=self._greet)
        self.writing: Redis = low_timeout_redis(self._name, timeout=self._patience)
        beating = low_timeout_redis(self._name, timeout=self._timeout)
        self._beats = Beats(self._name, beating, self._beat_from_thread, pause=PROBE_EVERY)
        self._beat_script = self.reading.register_script(BEAT)
        until = monotonic() + self._start
        await self._beat_once()
        while self.epoch is None and monotonic() < until:
            await asyncio.sleep(PROBE_EVERY)
            await self._beat_once()
        if self.epoch is None:
            self._late = True
            self._tell("no answer since the start")
        self._beats.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._beats.close()
        if self.epoch is not None and not self._owing:
            await self._leave()
        await self.reading.aclose(close_connection_pool=True)
        await self.writing.aclose(close_connection_pool=True)

    async def asked(self, request: Awaitable[T]) -> T:
        """The answer to a request of a reader's. Raises Away, from when on nothing is believed until a beat arrives."""
        sent = monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await request
        except UNREACHED as exc:
            self._doubt(exc, sent, limit=self._timeout)
            raise Away from exc
        self._heard()
        return answer

    async def insisted(self, request: Callable[[], Awaitable[object]]) -> bool:
        """Whether a request of a writer's was answered. If not, nothing that was stored before can be read any more.

        Raises ResourceError when Redis answers and refuses.
        """
        begun = monotonic()
        while self.silence() < self._patience:
            sent = monotonic()
            try:
                async with asyncio.timeout(ASK_FOR):
                    await request()
            except UNREACHED as exc:
                self._doubt(exc, sent, limit=ASK_FOR, asks_on=True)
                if _is_refusal(exc) and await self._end_epoch():
                    return False
                if monotonic() - begun > 2 * self._patience:
                    raise ResourceError(
                        f"The Redis {self._name} answers, but does not take what must be closed in its cache "
                        f"({exc}), so the write was not made. Let its account write, or look at its log."
                    ) from exc
                await asyncio.sleep(0.02)
            else:
                self._heard()
                return True
        return False

    def silence(self) -> float:
        """For how many seconds Redis has answered neither requests nor beats, though it was asked all the time."""
        with self._lock:
            now = monotonic()
            if self._silent_since is None or now - self._failed_at > self._gap:
                return 0.0
            return now - self._silent_since

    def look_again(self) -> None:
        """Something does not fit: believe nothing until the next beat, which is now."""
        self.epoch = None
        self._beats.wake()

    def owe(self) -> None:
        """A write has ended in a way that only time can settle, so the epoch is not left to others."""
        self._owing = True

    async def _beat_from_thread(self, client: Redis) -> float:
        await self._beat_once(client.register_script(BEAT))
        return BEAT_EVERY if self.epoch is not None else PROBE_EVERY

    async def _beat_once(self, script: AsyncScript | None = None) -> None:
        sent = monotonic()
        self._stood, self._beaten_at = sent - self._beaten_at, sent
        try:
            async with asyncio.timeout(self._timeout):
                request = (script or self._beat_script)(keys=self.keys, args=self._beat(sent, move=True))
                epoch, settling, at = await request
        except UNREACHED as exc:
            self._doubt(exc, sent, limit=self._timeout)
            return
        self._ahead = at - monotonic() * 1000
        if epoch:  # else it came late, and the next one knows the time
            self._heard()
            self._believe(epoch, settling=bool(settling))

    def _beat(self, sent: float, *, move: bool) -> list[str | int | float | bytes]:
        awaited = "" if self._ahead is None else int(self._ahead + (sent + self._timeout) * 1000)
        must = move and self.silence() > PULSE / 2
        times = [int(seconds * 1000) for seconds in (PULSE, *self._settle)]
        return [self._known, self._member, awaited, int(must), *times, secrets.token_hex(4)]

    async def _greet(self, connection: AbstractConnection) -> None:
        """The first words on a connection: redis-py's, then a beat, for it may lead to another server than before."""
        await connection.on_connect()
        beat: list[Any] = [*self.keys, *self._beat(monotonic(), move=False)]
        await connection.send_command("EVAL", BEAT, len(self.keys), *beat)
        await connection.read_response()

    def _believe(self, epoch: bytes, *, settling: bool) -> None:
        if self.epoch is None and (self._known or self._late):
            kept = "what it has counts still" if epoch == self._known else f"{self._cause(epoch)}, {FORGOTTEN}"
            logger.info("The Redis %s answers; %s.", self._name, kept)
        elif self._known and epoch != self._known:
            logger.warning("Cache models of the Redis %s: %s, %s.", self._name, self._cause(epoch), FORGOTTEN)
        self.epoch = self._known = epoch
        self.settling = settling

    def _cause(self, epoch: bytes) -> str:
        """Why the epoch that we knew was followed by another one."""
        letter = chr(epoch[0])
        if letter == "x" and self._stood > PULSE:
            return f"this process stood still for {self._stood:.1f} seconds, and no other one beat"
        return f"it {CAUSES.get(letter, 'has another epoch')}"

    def _doubt(self, error: BaseException, sent: float, *, limit: float, asks_on: bool = False) -> None:
        """A request that was to be answered within `limit` seconds has failed; whether it is repeated at once."""
        now = monotonic()
        # Whether it was this loop that did not listen: then its timer, too, rang late.
        stood_still = isinstance(error, TimeoutError) and now - sent > LATE * limit
        if _is_refusal(error):
            self._heard()
        elif asks_on or not stood_still:
            self._failed(sent, now)
        if stood_still:
            return
        if self.epoch is not None:
            self._tell(str(error) or type(error).__name__)
            self.look_again()

    def _tell(self, why: str) -> None:
        logger.warning("The Redis %s does not answer (%s): cache models read the database.", self._name, why)

    def _failed(self, sent: float, now: float) -> None:
        with self._lock:
            if now - sent > self._gap:  # this process was stopped meanwhile, and the answer may lie there unread
                self._silent_since = now
            elif self._silent_since is None or sent - self._failed_at > self._gap:
                self._silent_since = max(sent, self._heard_at)
            self._failed_at = now

    def _heard(self) -> None:
        with self._lock:
            self._heard_at = monotonic()
            self._silent_since = None

    async def _end_epoch(self) -> bool:
        """A Redis that is full takes no more closings, but lets go of a key."""
        self.look_again()
        try:
            async with asyncio.timeout(self._timeout):
                await self.writing.delete(self.keys[0])
        except UNREACHED:
            return False
        return True

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self.reading.register_script(LEAVE)(
                    keys=[self.keys[0], self.keys[3]], args=[self._member, int(LEFT * 1000)]
                )
        except UNREACHED as exc:
            logger.info("The Redis %s was not told that this process leaves (%s).", self._name, exc)


def _is_refusal(error: BaseException) -> bool:
    """Whether that is an answer, and not its absence: others may be answered better."""
    return isinstance(error, REFUSALS) or FULL in str(error)
