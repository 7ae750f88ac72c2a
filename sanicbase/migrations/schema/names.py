"""The default names of the database and of Tortoise, so that tables of either tool are the same."""

from __future__ import annotations

from sanicbase.migrations.statements import Dialect

__all__ = ["foreign_key_name", "primary_key_name", "unique_name"]

MAX_NAME_BYTES = 63  # bytes of a name in PostgreSQL


def unique_name(table: str, column: str, dialect: Dialect) -> str:
    """The constraint of `UNIQUE` after a column; SQLite has no name for it."""
    return _postgres(table, column, "key") if dialect == "postgres" else column


def foreign_key_name(table: str, column: str, hashed: str, dialect: Dialect) -> str:
    """The constraint of a foreign key: Tortoise names it on MySQL only."""
    return _postgres(table, column, "fkey") if dialect == "postgres" else hashed


def primary_key_name(table: str) -> str:
    """The constraint of a primary key on PostgreSQL."""
    return _postgres(table, "", "pkey")


def _postgres(table: str, column: str, label: str) -> str:
    """`makeObjectName` of PostgreSQL: the longer part is truncated.

    https://github.com/postgres/postgres/blob/master/src/backend/commands/indexcmds.c
    """
    first, second = table.encode(), column.encode()
    available = MAX_NAME_BYTES - len(label) - 1 - (1 if column else 0)
    while len(first) + len(second) > available:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = [first.decode(errors="ignore"), second.decode(errors="ignore"), label]
    return "_".join(part for part in parts if part)
