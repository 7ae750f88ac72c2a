"""Reads the tables of SQLite from its pragmas, and the rest from the statement that SQLite keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.migrations.introspection.create_table import (
    CreateTable,
    parse_create_table,
    significant_tokens,
    split_brackets,
)
from sanicbase.migrations.introspection.tables import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo

__all__ = ["read_tables"]

Row = Mapping[str, Any]

TABLES = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
)
COLUMNS = (
    "SELECT name, type, [notnull], dflt_value, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid"
)
INDEXES = """
SELECT l.name, l.[unique], l.origin, s.sql FROM pragma_index_list(?) l
LEFT JOIN sqlite_master s ON s.type = 'index' AND s.name = l.name ORDER BY l.seq
"""
PARTS = "SELECT cid, name, [desc], coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
FOREIGN_KEYS = """
SELECT id, [table], [from], [to], on_delete, on_update FROM pragma_foreign_key_list(?) ORDER BY id, seq
"""


async def read_tables(client: BaseDBAsyncClient, names: Collection[str] | None = None) -> dict[str, TableInfo]:
    """The tables of the client's file."""
    rows = await client.execute_query_dict(TABLES)
    return {row["name"]: await _table(client, row) for row in rows if names is None or row["name"] in names}


async def _table(client: BaseDBAsyncClient, row: Row) -> TableInfo:
    name, creation = row["name"], parse_create_table(row["sql"])
    columns = await client.execute_query_dict(COLUMNS, [name])
    key = await _key(client, name)
    indexes = [entry for entry in await client.execute_query_dict(INDEXES, [name]) if entry["origin"] != "pk"]
    counted = key[0] if len(key) == 1 and not creation.without_rowid else ""
    return TableInfo(
        name=name,
        columns={entry["name"]: _column(entry, creation, counted=entry["name"] == counted) for entry in columns},
        key=key,
        indexes=tuple([await _index(client, entry, creation) for entry in indexes]),
        foreign_keys=await _foreign_keys(client, name),
        checks=creation.checks,
    )


async def _key(client: BaseDBAsyncClient, table: str) -> tuple[str, ...]:
    columns = [row for row in await client.execute_query_dict(COLUMNS, [table]) if row["pk"]]
    return tuple(row["name"] for row in sorted(columns, key=lambda row: row["pk"]))


def _column(row: Row, creation: CreateTable, *, counted: bool) -> ColumnInfo:
    kind = _spelt(row["type"])
    generated = counted and kind == "INTEGER"  # then it is an alias of the rowid
    definition = creation.column(row["name"])
    return ColumnInfo(
        name=row["name"],
        type=kind,
        nullable=not (row["notnull"] or generated),
        default=_default(row["dflt_value"]),
        generated=generated,
        computed=definition.computed if row["hidden"] else "",
        collation=definition.collation,
        comment=definition.comment,
    )


def _spelt(kind: str) -> str:
    """A type in upper case with normalized spaces: SQLite keeps it as it was written."""
    return " ".join(kind.upper().split()).replace(" (", "(").replace("( ", "(").replace(", ", ",").replace(" )", ")")


def _default(expression: str | None) -> str | None:
    if expression is None or expression.upper() == "NULL":
        return None
    upper = expression.upper()
    return upper if upper in ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "TRUE", "FALSE") else expression


async def _index(client: BaseDBAsyncClient, row: Row, creation: CreateTable) -> IndexInfo:
    parts = await client.execute_query_dict(PARTS, [row["name"]])
    elements, condition = _parse_index(row["sql"]) if row["sql"] else ([], "")
    columns, options = [], []
    for number, part in enumerate(parts):
        name = part["name"] if part["cid"] >= 0 else f"({elements[number]})"
        collation = "" if part["coll"] == (creation.column(name).collation or "BINARY") else f"COLLATE {part['coll']}"
        mark = " ".join(word for word in (collation, "DESC" if part["desc"] else "") if word)
        columns.append(name)
        options += [f"{name} {mark}"] if mark else []
    return IndexInfo(
        columns=tuple(columns),
        unique=bool(row["unique"]),
        condition=condition,
        options=tuple(options),
        name=row["name"],
        constraint=row["origin"] == "u",
    )


def _parse_index(sql: str) -> tuple[list[str], str]:
    """The elements of an index and its condition, from its statement."""
    pieces = significant_tokens(sql)
    start = pieces.index("(")
    elements, end = split_brackets(pieces, start)
    rest = pieces[end:]
    return [_without_direction(element) for element in elements], " ".join(rest[1:]) if rest else ""


def _without_direction(element: list[str]) -> str:
    """An expression without its direction and outer parentheses."""
    if element[-1].upper() in ("ASC", "DESC"):
        element = element[:-1]
    if element[0] == "(" and split_brackets(element, 0)[1] == len(element):
        element = element[1:-1]
    return " ".join(element)


async def _foreign_keys(client: BaseDBAsyncClient, table: str) -> tuple[ForeignKeyInfo, ...]:
    by_key: dict[int, list[Row]] = {}
    for row in await client.execute_query_dict(FOREIGN_KEYS, [table]):
        by_key.setdefault(row["id"], []).append(row)
    return tuple([await _foreign_key(client, rows) for rows in by_key.values()])


async def _foreign_key(client: BaseDBAsyncClient, rows: list[Row]) -> ForeignKeyInfo:
    first = rows[0]
    named = first["to"] is not None
    return ForeignKeyInfo(
        columns=tuple(row["from"] for row in rows),
        table=first["table"],
        targets=tuple(row["to"] for row in rows) if named else await _key(client, first["table"]),
        on_delete=first["on_delete"],
        on_update=first["on_update"],
    )
