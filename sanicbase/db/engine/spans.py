"""Statements as spans of a trace, by the stable conventions of OpenTelemetry.

https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from sanicbase.db.engine.shapes import shape_of, without_texts

if TYPE_CHECKING:
    from sanicbase.tracing.recorder import Recorder

__all__ = ["describe_database", "statement_span", "traced"]

T = TypeVar("T")

SYSTEMS = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite"}
TABLE = re.compile(r"(?:\bFROM|\bINTO|\bJOIN|^\s*UPDATE)\s+[\"`]?([\w$]+)", re.IGNORECASE)
WORD = re.compile(r"[\s(]*+(\w+)")
MAX_STATEMENT = 16 * 1024  # characters of which the shape is made; the attribute is shorter

_databases: dict[str, dict[str, str | int]] = {}  # by the names of their connections


def describe_database(
    connection: str, dialect: str, *, namespace: str, host: str = "", port: int | None = None
) -> None:
    """Note what spans say about the database of a connection."""
    about: dict[str, str | int] = {"db.system.name": SYSTEMS.get(dialect, "other_sql"), "db.namespace": namespace}
    if host:
        about["server.address"] = host
    if port:
        about["server.port"] = port
    _databases[connection] = about


async def traced(recorder: Recorder, connection: str, query: str, statement: Coroutine[Any, Any, T]) -> T:
    """Run a statement as a span."""
    with statement_span(recorder, connection, query):
        return await statement


def statement_span(recorder: Recorder, connection: str, query: str) -> AbstractContextManager[object]:
    """A span for a statement, without its values."""
    about = _databases.get(connection, {})
    summary, attributes = _shape(query, about.get("db.system.name") == "mysql")
    return recorder.span(summary, "client", {**about, **attributes})


@lru_cache(maxsize=1024)
def _shape(query: str, is_mysql: bool) -> tuple[str, dict[str, str]]:
    """The summary of a statement, which names the span, and its attributes."""
    text = " ".join(shape_of(without_texts(query[:MAX_STATEMENT], is_mysql=is_mysql)).split())
    match = WORD.match(text)
    operation = match[1].upper() if match is not None else "SQL"
    tables = list(dict.fromkeys(TABLE.findall(text)))
    attributes = {"db.operation.name": operation, "db.query.text": text}
    if len(tables) == 1:
        attributes["db.collection.name"] = tables[0]
    attributes["db.query.summary"] = summary = " ".join((operation, *tables[:3]))
    return summary, attributes
