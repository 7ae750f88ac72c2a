"""The epoch of a cache: whether this process may trust the entries in one Redis, and what it does otherwise.

Every entry belongs to an epoch, a key in Redis that lives for EPOCH_TTL seconds. Each member process extends its life
by a heartbeat four times a second. If Redis is unreachable for all processes for longer, the epoch expires by the clock
of Redis before a process can read again. It is also gone if Redis was emptied. A server other than the one that created
the epoch, because it was restarted or promoted, ends it at the first heartbeat, which is the first command on every
connection.

Heartbeats are sent by a thread with its own connections, see heartbeat.py. While the event loop is blocked, none of its
writers continues, so a heartbeat at that time is safe. If only some connections reach Redis, these keep the epoch
alive. A writer therefore does not decide by its own requests alone: Redis counts as silent when it answers neither a
request nor a heartbeat of this process. A writer whose requests fail while heartbeats are answered waits, and then
raises ResourceError.

In a new epoch, all members settle: they store nothing while there may be commits without a closing. The time depends on
what Redis has lost:

| why there is a new epoch | all settle for | because |
|---|---|---|
| another server, or an emptied one | the TTL of a closing | closings may be lost |
| no heartbeat for EPOCH_TTL seconds | the time of a commit | Redis has all closings; one writer may have had none |
| Redis is empty, and no epoch is known | one EPOCH_TTL | processes that know one create another meanwhile |

The second row includes a killed or stopped last process: Redis cannot tell its death from an outage, in which it may
have sent a commit without a closing.

| what happens | a reader | a writer |
|---|---|---|
| no answer within `timeout` | reads the database; the heartbeats probe Redis | repeats, until the epoch has ended |
| Redis answers within half an EPOCH_TTL | continues in the same epoch | has closed its keys |
| later | a new epoch | continues after 1.3 s: by then the epoch has ended |
| Redis refuses writes: it is full | reads the database, as heartbeats fail | ends the epoch |
| Redis refuses everything | reads the database | raises ResourceError |
| the event loop is blocked | reads the database once; heartbeats go on | repeats |
| all threads are (SIGSTOP, a long call in C) | the same; the epoch ends unless others send heartbeats | repeats |
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.commands.core import AsyncScript
from redis.exceptions import AuthenticationError, AuthorizationError, NoScriptError, RedisError, ResponseError

from sanicbase.alerts import report_begun, report_ended
from sanicbase.cache.entry_requests import EntryRequests, EpochEnded
from sanicbase.cache.heartbeat import HeartbeatThread
from sanicbase.cache.local import LocalLimits, LocalTier
from sanicbase.cache.scripts import HEARTBEAT, LEAVE
from sanicbase.errors import ResourceError
from sanicbase.rc.clients import low_timeout_redis, namespace
from sanicbase.rc.metered import request_times
from sanicbase.rc.multiplexed import MultiplexedConnection, pack

__all__ = ["EpochClient", "RedisUnavailable"]

logger = logging.getLogger("sanicbase.cache")

EPOCH_TTL = 1.0  # seconds that an epoch lives without a heartbeat
HEARTBEAT_INTERVAL = 0.25  # seconds
PROBE_INTERVAL = 0.1  # seconds, while Redis is unavailable
WRITE_TIMEOUT = 0.3  # seconds that a writer waits before it repeats a request
MAX_GAP = EPOCH_TTL / 2  # seconds; a request that took longer was delayed by this process
MARGIN = 0.2  # seconds, for a late event loop
START_TIMEOUT = 3.0  # seconds that the first heartbeat may take
LATE_FACTOR = 1.3  # of the timeout; timers of a running event loop are not that late
EPOCH_TTL_AFTER_EXIT = 7 * 86400.0  # seconds; the last process leaves the epoch to the next one
CONNECTION_ERRORS = (RedisError, OSError, TimeoutError)
REFUSALS = (ResponseError, AuthenticationError, AuthorizationError)
MAX_CLIENTS_MESSAGE = "max number of clients"  # redis-py raises it as a lost connection

CAUSES = {
    "f": "had no data of this service",
    "e": "was emptied",
    "s": "was restarted, or replaced by a replica",
    "x": f"received no heartbeat of this service for {EPOCH_TTL:g} second",
    "m": f"was unreachable for a process for more than {EPOCH_TTL / 2:g} seconds",
}
"""Why an epoch was created, by its first letter."""
CONSEQUENCE = "so all entries are invalid, and nothing is stored until earlier commits have ended"

T = TypeVar("T")


class RedisUnavailable(Exception):
    """Redis is unavailable: read the database."""


class EpochClient:
    """This process's membership in the epoch of one Redis; an async context manager, for one event loop and service.

    Opening waits `start` seconds for a first heartbeat. Until one succeeds, no entry is trusted.
    """

    def __init__(
        self, connection: str, *, timeout: float, settle: float, settle_intact: float, start: float = START_TIMEOUT
    ) -> None:
        self._name = connection
        self._start = start
        self._timeout = timeout
        self._settle = settle, settle_intact  # seconds: when closings may be lost, and when Redis has them all
        self.epoch: bytes | None = None
        """The epoch whose entries are valid; None while Redis is unavailable."""
        self.settling = False
        self._last_epoch = b""  # the last valid one
        self._member = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._clock_offset: float | None = None  # milliseconds from our monotonic clock to Redis'
        self._silence_limit = EPOCH_TTL + timeout + MARGIN  # of a writer: the epoch has ended after that
        self._max_gap = timeout + MAX_GAP
        self._lock = threading.Lock()  # of the next three, which requests and heartbeats change
        self._silent_since: float | None = None
        self._opened_late = False  # opened without a heartbeat
        self._failed_at = 0.0
        self._answered_at = 0.0
        self._heartbeat_at = monotonic()
        self._stopped_for = 0.0  # seconds between the last two heartbeats
        self._expires_on_close = False
        self._local_tier: LocalTier | None = None
        self._deadlines: dict[MultiplexedConnection, _Deadline] = {}
        prefix = f"{namespace()}:rc:"
        self.keys = [prefix + name for name in ("epoch", "server", "settling", "members")]

    async def __aenter__(self) -> EpochClient:
        self.reading: Redis = low_timeout_redis(self._name, timeout=self._timeout, on_connect=self._on_connect)
        self.writing: Redis = low_timeout_redis(self._name, timeout=self._silence_limit)
        self._connection = MultiplexedConnection(self.reading.connection_pool)
        times = request_times(self._name)
        self._observe_request = None if times is None else times.of_kind("cache")
        self.entry_requests = EntryRequests(self.keys[0], lambda: self.valid_epoch, self._send, self.distrust)
        heartbeat_redis = low_timeout_redis(self._name, timeout=self._timeout, in_thread=True)
        self._heartbeat_thread = HeartbeatThread(self._name, heartbeat_redis, self._heartbeat, pause=PROBE_INTERVAL)
        self._heartbeat_script = self.reading.register_script(HEARTBEAT)
        deadline = monotonic() + self._start
        await self._connection.connect(within=self._timeout)  # the first read need not
        await self._send_heartbeat()
        while self.epoch is None and monotonic() < deadline:
            await asyncio.sleep(PROBE_INTERVAL)
            await self._send_heartbeat()
        if self.epoch is None:
            self._opened_late = True
            self._log_unavailable("no answer since the start")
        self._heartbeat_thread.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._heartbeat_thread.close()
        if self.epoch is not None and not self._expires_on_close:
            await self._leave()
        if self._local_tier is not None:
            await self._local_tier.close()
        await self._connection.close()
        for deadline in self._deadlines.values():
            deadline.cancel()
        await self.reading.aclose(close_connection_pool=True)
        await self.writing.aclose(close_connection_pool=True)

    def local_tier(self, limits: LocalLimits) -> LocalTier:
        """The local entries of this Redis, opened by the first class that has some."""
        if self._local_tier is None:
            self._local_tier = LocalTier(self.reading.connection_pool, self.keys[0], limits, self)
        return self._local_tier

    async def request(self, request: Awaitable[T]) -> T:
        """The answer to a reader's request. After RedisUnavailable, no entry is trusted until the next heartbeat."""
        sent = monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await request
        except CONNECTION_ERRORS as exc:
            self._record_error(exc, sent, limit=self._timeout)
            raise RedisUnavailable from exc
        self._record_answer()
        return answer

    async def evaluate(self, script: AsyncScript, keys: list[str], args: list[Any]) -> Any:
        """The answer to a reader's script, on the connection of all readers. Raises RedisUnavailable as `request`."""
        for name, text in (("EVALSHA", script.sha), ("EVAL", str(script.script))):
            answer = await self._answer(pack(name, text, len(keys), *keys, *args))
            if not isinstance(answer, NoScriptError):
                break
        if answer is None:
            raise RedisUnavailable
        return answer

    async def _answer(self, command: bytes) -> Any:
        future = asyncio.get_running_loop().create_future()
        self._send(command, partial(_set_result, future))
        return await future

    def send_on(self, connection: MultiplexedConnection, command: bytes, answered: Callable[[Any], None]) -> None:
        """Send a reader's command; its answer is None when it fails as `request` does."""
        deadline = self._deadlines.get(connection)
        if deadline is None:
            deadline = self._deadlines[connection] = _Deadline(connection, self._timeout)
        deadline.begin()
        connection.send(command, partial(self._end, deadline, answered))

    def _end(self, deadline: _Deadline, answered: Callable[[Any], None], answer: Any) -> None:
        sent = deadline.end()
        if self._observe_request is not None:
            self._observe_request(monotonic() - sent)
        if not isinstance(answer, Exception) or isinstance(answer, NoScriptError):
            self._record_answer()
        else:
            if not isinstance(answer, EpochEnded):
                self._record_error(answer, sent, limit=self._timeout)
            answer = None
        answered(answer)

    def _send(self, command: bytes, answered: Callable[[Any], None]) -> None:
        self.send_on(self._connection, command, answered)

    async def request_until_answered(self, request: Callable[[], Awaitable[object]]) -> bool:
        """Repeat a writer's request until it is answered; False when the epoch has ended, with all its entries.

        Raises ResourceError when Redis answers other requests but refuses this one.
        """
        started = monotonic()
        while self.silent_for() < self._silence_limit:
            sent = monotonic()
            try:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await request()
            except CONNECTION_ERRORS as exc:
                self._record_error(exc, sent, limit=WRITE_TIMEOUT, repeats=True)
                if _is_refusal(exc) and await self._end_epoch():
                    return False
                if monotonic() - started > 2 * self._silence_limit:
                    reason = str(exc) or type(exc).__name__
                    raise ResourceError(
                        f"The Redis {self._name} does not accept the invalidation of cached entries ({reason}), so the "
                        "write was not executed. Give its account write access, or check its log."
                    ) from exc
                await asyncio.sleep(0.02)
            else:
                self._record_answer()
                return True
        return False

    def silent_for(self) -> float:
        """For how many seconds Redis has answered neither requests nor heartbeats that were sent."""
        with self._lock:
            now = monotonic()
            if self._silent_since is None or now - self._failed_at > self._max_gap:
                return 0.0
            return now - self._silent_since

    @property
    def valid_epoch(self) -> bytes | None:
        """The epoch whose entries are valid and in which something may be stored; None while there is none."""
        return None if self.settling else self.epoch

    def distrust(self) -> None:
        """Redis has another epoch than this process: check it, on a connection to the server of this moment."""
        self.check_now()
        self._connection.abort(EpochEnded())

    def check_now(self) -> None:
        """Trust no entry until the next heartbeat, which is sent now."""
        self.epoch = None
        self._heartbeat_thread.wake()

    def expire_on_close(self) -> None:
        """Let the epoch expire at the end: the outcome of a write is unknown."""
        self._expires_on_close = True

    async def _heartbeat(self, client: Redis) -> float:
        await self._send_heartbeat(client.register_script(HEARTBEAT))
        return HEARTBEAT_INTERVAL if self.epoch is not None else PROBE_INTERVAL

    async def _send_heartbeat(self, script: AsyncScript | None = None) -> None:
        sent = monotonic()
        self._stopped_for, self._heartbeat_at = sent - self._heartbeat_at, sent
        try:
            async with asyncio.timeout(self._timeout):
                request = (script or self._heartbeat_script)(
                    keys=self.keys, args=self._heartbeat_arguments(sent, may_change=True)
                )
                epoch, settling, at = await request
        except CONNECTION_ERRORS as exc:
            self._record_error(exc, sent, limit=self._timeout)
            return
        self._clock_offset = at - monotonic() * 1000
        if epoch:  # else the heartbeat was late; the next one has the time
            self._record_answer()
            self._enter(epoch, settling=bool(settling))

    def _heartbeat_arguments(self, sent: float, *, may_change: bool) -> list[str | int | float | bytes]:
        valid_until = "" if self._clock_offset is None else int(self._clock_offset + (sent + self._timeout) * 1000)
        must_change = may_change and self.silent_for() > EPOCH_TTL / 2
        times = [int(seconds * 1000) for seconds in (EPOCH_TTL, *self._settle)]
        return [self._last_epoch, self._member, valid_until, int(must_change), *times, secrets.token_hex(4)]

    async def _on_connect(self, connection: AbstractConnection) -> None:
        """Start a connection, and send a heartbeat first, since the server may be another one."""
        await connection.on_connect()
        heartbeat: list[Any] = [*self.keys, *self._heartbeat_arguments(monotonic(), may_change=False)]
        await connection.send_command("EVAL", HEARTBEAT, len(self.keys), *heartbeat)
        await connection.read_response()

    def _enter(self, epoch: bytes, *, settling: bool) -> None:
        if self.epoch is None and (self._last_epoch or self._opened_late):
            consequence = (
                "its entries are still valid" if epoch == self._last_epoch else f"{self._cause(epoch)}, {CONSEQUENCE}"
            )
            logger.info("The Redis %s answers; %s.", self._name, consequence)
            report_ended("server", f"redis {self._name}", f"The Redis {self._name} answers; {consequence}.")
        elif self._last_epoch and epoch != self._last_epoch:
            logger.warning("Cache models of the Redis %s: %s, %s.", self._name, self._cause(epoch), CONSEQUENCE)
        self.epoch = self._last_epoch = epoch
        self.settling = settling

    def _cause(self, epoch: bytes) -> str:
        """Why the last epoch was replaced."""
        prefix = chr(epoch[0])
        if prefix == "x" and self._stopped_for > EPOCH_TTL:
            return f"this process was stopped for {self._stopped_for:.1f} seconds, and no other one sent heartbeats"
        return f"it {CAUSES.get(prefix, 'has another epoch')}"

    def _record_error(self, error: BaseException, sent: float, *, limit: float, repeats: bool = False) -> None:
        """Record that a request with a timeout of `limit` seconds failed; `repeats` when it is sent again at once."""
        now = monotonic()
        # When this loop was blocked, its timer was late as well.
        was_stopped = isinstance(error, TimeoutError) and now - sent > LATE_FACTOR * limit
        if _is_refusal(error):
            self._record_answer()
        elif repeats or not was_stopped:
            self._record_silence(sent, now)
        if was_stopped:
            return
        if self.epoch is not None:
            self._log_unavailable(str(error) or type(error).__name__)
            self.check_now()

    def _log_unavailable(self, reason: str) -> None:
        text = f"The Redis {self._name} does not answer ({reason}): cache models read the database."
        logger.warning("%s", text)
        report_begun("server", f"redis {self._name}", text)

    def _record_silence(self, sent: float, now: float) -> None:
        with self._lock:
            if now - sent > self._max_gap:  # this process was stopped, and the answer may be unread
                self._silent_since = now
            elif self._silent_since is None or sent - self._failed_at > self._max_gap:
                self._silent_since = max(sent, self._answered_at)
            self._failed_at = now

    def _record_answer(self) -> None:
        with self._lock:
            self._answered_at = monotonic()
            self._silent_since = None

    async def _end_epoch(self) -> bool:
        """Delete the epoch: a full Redis refuses writes, but not DEL."""
        self.check_now()
        try:
            async with asyncio.timeout(self._timeout):
                await self.writing.delete(self.keys[0])
        except CONNECTION_ERRORS:
            return False
        return True

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self.reading.register_script(LEAVE)(
                    keys=[self.keys[0], self.keys[3]], args=[self._member, int(EPOCH_TTL_AFTER_EXIT * 1000)]
                )
        except CONNECTION_ERRORS as exc:
            logger.info("This process could not leave the epoch of the Redis %s (%s).", self._name, exc)


class _Deadline:
    """Drops a connection when the answer to a command takes longer than `timeout` seconds.

    Commands are answered in their order, so one timer for the oldest of them is enough. An answer does not cancel it:
    most reads neither start nor stop a timer.
    """

    def __init__(self, connection: MultiplexedConnection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._sent: deque[float] = deque()  # when the commands without an answer were sent
        self._timer: asyncio.TimerHandle | None = None
        self._context = contextvars.Context()  # without a request

    def begin(self) -> None:
        """A command is sent."""
        self._sent.append(monotonic())
        if self._timer is None:
            self._start(self._timeout)

    def end(self) -> float:
        """The oldest command is answered, or has failed; when it was sent."""
        return self._sent.popleft()

    def cancel(self) -> None:
        """Stop the timer; the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()

    def _start(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check, context=self._context)

    def _check(self) -> None:
        self._timer = None
        if not self._sent:
            return
        remaining = self._sent[0] + self._timeout - monotonic()
        if remaining > 0:
            self._start(remaining)
        else:
            self._connection.abort(TimeoutError())


def _set_result(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():  # the caller was cancelled
        future.set_result(answer)


def _is_refusal(error: BaseException) -> bool:
    """Whether the server answered with an error."""
    return isinstance(error, REFUSALS) or MAX_CLIENTS_MESSAGE in str(error)
