"""Requests to Redis as metrics and as spans. Only a process that counts or traces has clients of these classes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.commands import READ_COMMANDS

from sanicbase.metrics import Histogram
from sanicbase.metrics.instruments import is_counting
from sanicbase.rc.spans import PIPELINE, request_span
from sanicbase.tracing import current_recorder

__all__ = ["RequestTimes", "client_class", "request_times"]

REQUEST = Histogram(
    "sanicbase_redis_request_seconds",
    "Requests to a Redis by their kind, with the wait for a connection; a pipeline is one.",
    ["redis", "kind"],
)
SCRIPTS = frozenset(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"))
SERVER = frozenset((
    "AUTH", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "ECHO", "FUNCTION", "HELLO", "INFO", "LATENCY", "MEMORY",
    "PING", "PUBLISH", "ROLE", "SCRIPT", "SELECT", "SLOWLOG", "SPUBLISH", "TIME", "WAIT",
))  # fmt: skip
MAX_COMMANDS = 512  # names of commands that are remembered; a caller may invent others


class RequestTimes:
    """The times of the requests to one Redis. With `blocks`, they are those of blocking commands."""

    def __init__(self, name: str, *, blocks: bool = False) -> None:
        self._name = name
        self._blocks = blocks
        self._by_command: dict[object, Callable[[float], None]] = {}

    def observe(self, command: object, seconds: float) -> None:
        """Record the time of a command, whose name is the first argument of `execute_command`."""
        observe = self._by_command.get(command)
        if observe is None:
            observe = self.of_kind("blocking" if self._blocks else _kind_of(command))
            if len(self._by_command) < MAX_COMMANDS:
                self._by_command[command] = observe
        observe(seconds)

    def of_kind(self, kind: str) -> Callable[[float], None]:
        """A function that records the time of a request of that kind."""
        return REQUEST.bind(self._name, kind)


def request_times(name: str) -> RequestTimes | None:
    """The times of the requests to the Redis of that name; None if this process does not count."""
    return RequestTimes(name) if is_counting() else None


def client_class(name: str, *, blocks: bool = False) -> type[Redis]:
    """redis-py's client, whose requests are timed for the Redis of that name if this process counts, and are spans if
    it traces.

    Its clients belong to the thread of the event loop, because metrics do.
    """
    if not is_counting() and current_recorder() is None:
        return Redis
    times = RequestTimes(name, blocks=blocks)

    class MeteredPipeline(Pipeline):
        async def execute(self, raise_on_error: bool = True) -> list[Any]:
            started = perf_counter()
            try:
                with request_span(PIPELINE, self.connection_pool.connection_kwargs, batch=len(self)):
                    return await super().execute(raise_on_error)
            finally:
                times.observe(PIPELINE, perf_counter() - started)

    class MeteredRedis(Redis):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            started = perf_counter()
            try:
                with request_span(args[0], self.connection_pool.connection_kwargs):
                    return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            finally:
                times.observe(args[0], perf_counter() - started)

        def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
            return MeteredPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    return MeteredRedis


def _kind_of(command: object) -> str:
    name = command.decode(errors="replace") if isinstance(command, bytes) else str(command)
    word = name.upper().partition(" ")[0]
    if word == "PIPELINE":
        return "pipeline"
    if word in SCRIPTS:
        return "script"
    if word in READ_COMMANDS:
        return "read"
    return "other" if word in SERVER else "write"
