"""Requests to Redis as spans of a trace, by the stable conventions of OpenTelemetry: commands without their arguments.

https://opentelemetry.io/docs/specs/semconv/database/redis/
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sanicbase.tracing import sampled_recorder

__all__ = ["PIPELINE", "request_span"]

PIPELINE = "PIPELINE"
UNRECORDED: AbstractContextManager[object] = nullcontext()


def request_span(command: object, options: Mapping[str, Any], *, batch: int = 0) -> AbstractContextManager[object]:
    """A span for a command, or for a pipeline of `batch` commands, if the trace is recorded. `options` are those of
    redis-py's connections."""
    recorder = sampled_recorder()
    if recorder is None:
        return UNRECORDED
    text = command.decode(errors="replace") if isinstance(command, bytes) else str(command)
    name = text.partition(" ")[0].upper()
    attributes: dict[str, str | int] = {
        "db.system.name": "redis",
        "db.operation.name": name,
        "db.namespace": str(options.get("db") or 0),
    }
    if address := options.get("host") or options.get("path"):
        attributes["server.address"] = str(address)
    if port := options.get("port"):
        attributes["server.port"] = int(port)
    if batch:
        attributes["db.operation.batch.size"] = batch
    return recorder.span(name, "client", attributes)
