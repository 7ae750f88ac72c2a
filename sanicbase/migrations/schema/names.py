"""The names that a database gives to what has none, and Tortoise to the rest. Tables made by either are the same."""

from __future__ import annotations

from sanicbase.migrations.statements import Dialect

__all__ = ["foreign_key_name", "primary_key_name", "unique_name"]

MAX_NAME_BYTES = 63  # bytes of a name of PostgreSQL


def unique_name(table: str, column: str, dialect: Dialect) -> str:
    """The constraint that `UNIQUE` behind a column makes; on SQLite nothing has this name."""
    return _postgres(table, column, "key") if dialect == "postgres" else column


def foreign_key_name(table: str, column: str, hashed: str, dialect: Dialect) -> str:
    """The constraint of a reference: Tortoise names it on MySQL only."""
    return _postgres(table, column, "fkey") if dialect == "postgres" else hashed


def primary_key_name(table: str) -> str:
    """The constraint of a primary key on PostgreSQL."""
    return _postgres(table, "", "pkey")


def _postgres(table: str, column: str, label: str) -> str:
    """`makeObjectName` of PostgreSQL: the longer of the two gives way.

    https://github.com/postgres/postgres/blob/master/src/backend/commands/indexcmds.c
    """
    first, second = table.encode(), column.encode()
    room = MAX_NAME_BYTES - len(label) - 1 - (1 if column else 0)
    while len(first) + len(second) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = [first.decode(errors="ignore"), second.decode(errors="ignore"), label]
    return "_".join(part for part in parts if part)
