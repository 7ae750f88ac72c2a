"""Reads the tables of MySQL and MariaDB from `information_schema`; where spellings differ, MariaDB's is used."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.migrations.introspection.tables import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo

__all__ = ["read_tables"]

Row = Mapping[str, Any]

TABLES = """
SELECT t.TABLE_NAME AS name, t.TABLE_COLLATION AS collation, t.TABLE_COMMENT AS comment
FROM information_schema.TABLES t
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'{} ORDER BY t.TABLE_NAME
"""
COLUMNS = """
SELECT t.TABLE_NAME AS owner, t.COLUMN_NAME AS name, t.COLUMN_TYPE AS type, t.IS_NULLABLE = 'YES' AS nullable,
  t.COLUMN_DEFAULT AS expression, t.EXTRA AS extra, t.GENERATION_EXPRESSION AS computed,
  t.COLLATION_NAME AS collation, t.COLUMN_COMMENT AS comment
FROM information_schema.COLUMNS t WHERE t.TABLE_SCHEMA = DATABASE(){} ORDER BY t.TABLE_NAME, t.ORDINAL_POSITION
"""
INDEXES = """
SELECT t.TABLE_NAME AS owner, t.INDEX_NAME AS name, t.NON_UNIQUE = 0 AS is_unique, t.COLUMN_NAME AS plain,
  {expression} AS expression, t.SUB_PART AS prefix, t.COLLATION AS direction, t.INDEX_TYPE AS method
FROM information_schema.STATISTICS t
WHERE t.TABLE_SCHEMA = DATABASE(){{}} ORDER BY t.TABLE_NAME, t.INDEX_NAME, t.SEQ_IN_INDEX
"""
FOREIGN_KEYS = """
SELECT t.TABLE_NAME AS owner, t.CONSTRAINT_NAME AS name, t.COLUMN_NAME AS plain, t.REFERENCED_COLUMN_NAME AS target,
  IF(t.REFERENCED_TABLE_SCHEMA = DATABASE(), t.REFERENCED_TABLE_NAME,
     CONCAT(t.REFERENCED_TABLE_SCHEMA, '.', t.REFERENCED_TABLE_NAME)) AS target_table,
  r.DELETE_RULE AS on_delete, r.UPDATE_RULE AS on_update
FROM information_schema.KEY_COLUMN_USAGE t JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = t.CONSTRAINT_NAME
  AND r.TABLE_NAME = t.TABLE_NAME
WHERE t.TABLE_SCHEMA = DATABASE(){} ORDER BY t.TABLE_NAME, t.CONSTRAINT_NAME, t.ORDINAL_POSITION
"""
CHECKS = """
SELECT t.TABLE_NAME AS owner, k.CHECK_CLAUSE AS clause
FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS k
  ON k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME{same_table}
WHERE t.TABLE_SCHEMA = DATABASE() AND t.CONSTRAINT_TYPE = 'CHECK'{{}}
"""
WIDTH = re.compile(r"^((?:small|medium|big)?int|tinyint|year)\(\d+\)")
BOOL = "tinyint(1)"
TEXTUAL = re.compile(r"(var)?(char|binary)|(tiny|medium|long)?(text|blob)|enum|set|date|time|year|json|uuid|inet")
NOW = re.compile(r"(?:current_timestamp|now)(?:\((?P<digits>\d*)\))?", re.IGNORECASE)


async def read_tables(client: BaseDBAsyncClient, names: Collection[str] | None = None) -> dict[str, TableInfo]:
    """The tables of the client's database."""
    if names is not None and not names:
        return {}
    (version,) = await client.execute_query_dict("SELECT VERSION() AS name")
    maria = "MariaDB" in version["name"]
    indexes = INDEXES.format(expression="NULL" if maria else "t.EXPRESSION")
    checks = CHECKS.format(same_table=" AND k.TABLE_NAME = t.TABLE_NAME" if maria else "")
    among = "" if names is None else f" AND t.TABLE_NAME IN ({', '.join(['%s'] * len(names))})"
    tables, *parts = [
        await client.execute_query_dict(sql.format(among), list(names or ()))
        for sql in (TABLES, COLUMNS, indexes, FOREIGN_KEYS, checks)
    ]
    by_table = [_grouped(rows, "owner") for rows in parts]
    return {
        table["name"]: _table(table, *(rows_by_table[table["name"]] for rows_by_table in by_table), maria=maria)
        for table in tables
    }


def _grouped(rows: Iterable[Row], by: str) -> defaultdict[str, list[Row]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[by]].append(row)
    return groups


def _table(
    table: Row, columns: list[Row], indexes: list[Row], foreign_keys: list[Row], checks: list[Row], *, maria: bool
) -> TableInfo:
    clauses = [check["clause"] for check in checks]
    documents = {row["name"]: f"json_valid(`{row['name']}`)" for row in columns}
    json = {name for name, clause in documents.items() if maria and clause in clauses}
    return TableInfo(
        name=table["name"],
        columns={row["name"]: _column(row, table, maria=maria, json=row["name"] in json) for row in columns},
        key=tuple(row["plain"] for row in indexes if row["name"] == "PRIMARY"),
        indexes=tuple(_index(rows) for name, rows in _grouped(indexes, "name").items() if name != "PRIMARY"),
        foreign_keys=tuple(map(_foreign_key, _grouped(foreign_keys, "name").values())),
        checks=tuple(clause for clause in clauses if clause not in {documents[name] for name in json}),
        collation=table["collation"] or "",
        comment=table["comment"],
    )


def _column(row: Row, table: Row, *, maria: bool, json: bool) -> ColumnInfo:
    extra = row["extra"].lower()
    kind = "json" if json else row["type"] if row["type"] == BOOL else WIDTH.sub(r"\1", row["type"])
    expression = _text(row["expression"])
    literal = not maria and "default_generated" not in extra
    inherited = row["collation"] in (None, table["collation"]) or kind == "json"
    on_update = extra.partition("on update ")[2]
    return ColumnInfo(
        name=row["name"],
        type=kind,
        nullable=bool(row["nullable"]),
        default=_quoted(expression, kind) if literal else _default(expression),
        generated="auto_increment" in extra,
        computed=_text(row["computed"]) or "",
        on_update=_default(on_update) or "",
        collation="" if inherited else row["collation"],
        comment=row["comment"],
    )


def _text(value: object) -> str | None:
    """MySQL returns some texts of the catalog as bytes."""
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def _quoted(value: str | None, kind: str) -> str | None:
    """A literal that MySQL reports without quotes, in MariaDB's spelling."""
    if value is None or not TEXTUAL.match(kind) or NOW.fullmatch(value):
        return _default(value)
    return "'" + value.replace("'", "\\'") + "'"


def _default(expression: str | None) -> str | None:
    if expression in (None, "", "NULL"):
        return None
    if match := NOW.fullmatch(expression):
        return "CURRENT_TIMESTAMP" + (f"({digits})" if (digits := match["digits"]) and digits != "0" else "")
    return expression


def _index(rows: list[Row]) -> IndexInfo:
    first = rows[0]
    method = first["method"].lower()
    columns = tuple(row["plain"] or f"({row['expression']})" for row in rows)
    # Full-text and spatial indexes have a prefix or an order that the server chooses.
    marks = [_mark(row) if method == "btree" else "" for row in rows]
    return IndexInfo(
        columns=columns,
        unique=bool(first["is_unique"]),
        method=method,
        options=tuple(f"{column} {mark}" for column, mark in zip(columns, marks, strict=True) if mark),
        name=first["name"],
        constraint=False,
    )


def _mark(row: Row) -> str:
    marks = [f"({row['prefix']})" if row["prefix"] else "", "DESC" if row["direction"] == "D" else ""]
    return " ".join(mark for mark in marks if mark)


def _foreign_key(rows: list[Row]) -> ForeignKeyInfo:
    first = rows[0]
    return ForeignKeyInfo(
        columns=tuple(row["plain"] for row in rows),
        table=first["target_table"],
        targets=tuple(row["target"] for row in rows),
        on_delete=_action(first["on_delete"]),
        on_update=_action(first["on_update"]),
        name=first["name"],
    )


def _action(rule: str) -> str:
    return "NO ACTION" if rule == "RESTRICT" else rule
