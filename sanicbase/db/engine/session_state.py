"""Which PostgreSQL sessions must be reset before their next user: those whose statements may have changed them.

A reset costs a round trip after each statement. A connection records instead whether anything but plain statements went
through it, no matter what sent them: a queryset, raw SQL, or code that acquired the connection itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import asyncpg  # type: ignore[import-untyped]

__all__ = ["TrackedConnection", "is_plain"]

MAX_LENGTH = 4096  # characters of a statement that is examined; longer ones count as changing the session

ESCAPE = " ESCAPE '\\'"  # Tortoise's, the only backslash in a plain statement
COMMENT_OR_ESCAPE = re.compile(r"--|/\*|\\|\$(?![0-9])|;(?=\s*\S)")
QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
TRANSACTION = re.compile(
    r"BEGIN(?: ISOLATION LEVEL [A-Z ]+)?;?|COMMIT;?|ROLLBACK;?|(?:RELEASE |ROLLBACK TO )?SAVEPOINT \w+;?", re.IGNORECASE
)
EXPLAIN = "EXPLAIN (FORMAT JSON) "
INSERT = re.compile(r'\s*INSERT\s+INTO\s+"(?:\.")?\s*\(', re.IGNORECASE)
SELECT = re.compile(r"[\s(]*SELECT\b", re.IGNORECASE)
WRITE = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
INTO = re.compile(r"\bINTO\b", re.IGNORECASE)
CALL = re.compile(r"""(["']|\.\s*\w+|[^\W\d][\w$]*)\s*\(""")
KEYWORDS = """all and any array as between by case cast char conflict decimal distinct else except exists extract filter
    from having ilike in int intersect interval join key like limit not numeric offset on or over partition returning
    select set some then time timestamp union using values varchar when where"""
FUNCTIONS = """abs avg bool_and bool_or ceil coalesce concat count date date_part date_trunc floor greatest json_agg
    jsonb_agg least left length lower ltrim max md5 min mod now nullif position power replace right round rtrim sqrt
    stddev strpos substr substring sum to_char to_tsquery to_tsvector trim upper variance"""
BEFORE_PARENTHESIS = frozenset(f"{KEYWORDS} {FUNCTIONS}".split())
"""The words that may stand before a parenthesis in a plain statement. Any other word may be a function's name."""

STATEMENTS = frozenset(("execute", "executemany", "fetch", "fetchval", "fetchrow", "fetchmany"))
NEUTRAL = frozenset(
    (
        *("add_termination_listener", "remove_termination_listener", "remove_log_listener", "remove_query_logger"),
        *("close", "terminate", "is_closed", "reset", "get_reset_query", "transaction", "is_in_transaction"),
        *("get_server_pid", "get_server_version", "get_settings"),
    )
)
"""The methods of a connection that leave the session as it is. An open transaction is found by its status."""

RESET = """
SET SESSION AUTHORIZATION DEFAULT;
RESET ROLE;
{asyncpg}
DISCARD TEMP;
DISCARD SEQUENCES;
DO $$ DECLARE statement record; BEGIN
FOR statement IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP
EXECUTE pg_catalog.format('DEALLOCATE %I', statement.name);
END LOOP; END $$;
"""
"""DISCARD ALL without the prepared statements of asyncpg's cache."""


@lru_cache(maxsize=1024)
def is_plain(statement: str) -> bool:
    """Whether a statement leaves the session as it was.

    True for SELECT, INSERT, UPDATE and DELETE that call no functions besides known ones, and for the ends of
    transactions. When in doubt it is False. What a schema's own triggers, views and operators call is not visible here.
    """
    if len(statement) > MAX_LENGTH:
        return False
    if TRANSACTION.fullmatch(statement):
        return True
    if statement.startswith(EXPLAIN):  # without ANALYZE, which would execute it
        statement = statement.removeprefix(EXPLAIN)
        if not SELECT.match(statement):
            return False
    if COMMENT_OR_ESCAPE.search(statement.replace(ESCAPE, "")):
        return False
    bare = QUOTED.sub(lambda quoted: quoted[0][0], statement)
    if not bare.isascii():  # PostgreSQL takes Unicode spaces for letters
        return False
    if INTO.search(bare) if SELECT.match(bare) else not WRITE.match(bare):
        return False
    calls = CALL.findall(bare, match.end() if (match := INSERT.match(bare)) else 0)
    return all(word.lower() in BEFORE_PARENTHESIS for word in calls)


class TrackedConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's connection, which knows whether its session may have been changed since the last reset."""

    _is_changed = False

    @property
    def needs_reset(self) -> bool:
        """Whether the next user could see something of the last one."""
        return self._is_changed or self._top_xact is not None or self.is_in_transaction()

    def get_reset_query(self) -> str:
        """The statements of a reset: asyncpg's, and what they leave behind."""
        return RESET.format(asyncpg=super().get_reset_query())

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  (asyncpg's)
        """Reset the session, within `timeout` seconds."""
        await super().reset(timeout=timeout)
        self._is_changed = False


def _tracking_statement(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: TrackedConnection, *args: Any, **options: Any) -> Any:
        if not self._is_changed:
            statement = args[0] if args else options.get("query", options.get("command"))
            self._is_changed = not (isinstance(statement, str) and is_plain(statement))
        return method(self, *args, **options)

    return call


def _tracking_change(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: TrackedConnection, *args: Any, **options: Any) -> Any:
        self._is_changed = True
        return method(self, *args, **options)

    return call


for _name, _method in vars(asyncpg.Connection).items():
    if _name in STATEMENTS:
        setattr(TrackedConnection, _name, _tracking_statement(_method))
    elif callable(_method) and not _name.startswith("_") and _name not in NEUTRAL:
        setattr(TrackedConnection, _name, _tracking_change(_method))
