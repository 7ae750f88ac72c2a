"""Reads the tables of PostgreSQL from its catalog."""

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
SELECT c.oid, c.relname AS name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND ($1::text[] IS NULL OR c.relname = ANY($1)) ORDER BY c.relname
"""
COLUMNS = """
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS expression,
  a.attidentity::text AS identity, a.attgenerated::text AS computed,
  EXISTS (
    SELECT FROM pg_depend o JOIN pg_class s ON s.oid = o.objid AND s.relkind = 'S'
    WHERE o.classid = 'pg_class'::regclass AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
  ) AS owns_sequence,
  CASE WHEN a.attcollation <> t.typcollation THEN l.collname::text ELSE '' END AS collation,
  coalesce(col_description(a.attrelid, a.attnum), '') AS comment
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
"""
INDEXES = """
SELECT i.indrelid AS oid, i.indexrelid AS index, c.relname AS name, m.amname AS method, i.indisunique AS is_unique,
  i.indisprimary AS is_key, coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS condition,
  EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'u') AS is_constraint,
  pg_get_indexdef(i.indexrelid) LIKE '%NULLS NOT DISTINCT%' AS nulls_equal,
  coalesce(a.attname::text, '(' || pg_get_indexdef(i.indexrelid, n, true) || ')') AS column,
  n > i.indnkeyatts AS is_included, i.indoption[n - 1] AS direction,
  CASE WHEN o.opcdefault THEN '' ELSE o.opcname::text END AS operators
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
CROSS JOIN LATERAL generate_series(1, i.indnatts) n
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1] AND a.attnum > 0
LEFT JOIN pg_opclass o ON o.oid = i.indclass[n - 1]
WHERE i.indrelid = ANY($1::oid[]) AND i.indisvalid AND NOT i.indisexclusion ORDER BY i.indexrelid, n
"""
CONSTRAINTS = """
SELECT k.conrelid AS oid, k.conname AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition,
  k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
  CASE WHEN n.nspname = current_schema() THEN f.relname::text ELSE n.nspname || '.' || f.relname END AS target,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place) AS targets
FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
WHERE k.conrelid = ANY($1::oid[]) AND k.contype IN ('f', 'c', 'x')
"""
ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
DIRECTIONS = {0: "", 1: "DESC NULLS LAST", 2: "NULLS FIRST", 3: "DESC"}

LITERAL = re.compile(r"(?P<text>'(?:[^']|'')*')::[a-z][\w ]*(?:\([\d,]+\))?(?:\[\])?")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
NUMERIC = re.compile(r"smallint|integer|bigint|numeric|real|double precision")


async def read_tables(client: BaseDBAsyncClient, names: Collection[str] | None = None) -> dict[str, TableInfo]:
    """The tables of the current schema."""
    tables = await client.execute_query_dict(TABLES, [None if names is None else list(names)])
    oids = [table["oid"] for table in tables]
    columns, indexes, constraints = [
        _by_table(await client.execute_query_dict(sql, [oids])) for sql in (COLUMNS, INDEXES, CONSTRAINTS)
    ]
    return {
        table["name"]: TableInfo(
            name=table["name"],
            columns={row["name"]: _column(row) for row in columns[oid]},
            key=tuple(row["column"] for row in indexes[oid] if row["is_key"] and not row["is_included"]),
            indexes=tuple(_indexes(row for row in indexes[oid] if not row["is_key"])),
            foreign_keys=tuple(_foreign_key(row) for row in constraints[oid] if row["kind"] == "f"),
            checks=tuple(row["definition"] for row in constraints[oid] if row["kind"] != "f"),
            comment=table["comment"],
        )
        for table in tables
        for oid in [table["oid"]]
    }


def _by_table(rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    by_table: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_table[row["oid"]].append(row)
    return by_table


def _column(row: Row) -> ColumnInfo:
    expression = row["expression"] or ""
    counted = bool(row["identity"]) or (row["owns_sequence"] and expression.startswith("nextval("))
    return ColumnInfo(
        name=row["name"],
        type=row["type"],
        nullable=row["nullable"],
        default=None if counted or row["computed"] else _default(expression, row["type"]),
        generated=counted,
        computed=expression if row["computed"] else "",
        collation=row["collation"],
        comment=row["comment"],
    )


def _default(expression: str, kind: str) -> str | None:
    """The expression without the casts that PostgreSQL adds to literals."""
    if not expression or expression.startswith("NULL::"):
        return None
    if match := LITERAL.fullmatch(expression):
        expression = match["text"]
    bare = expression.strip("'()")
    if NUMERIC.match(kind) and NUMBER.fullmatch(bare):
        return bare
    return "CURRENT_TIMESTAMP" if expression == "now()" else expression


def _indexes(rows: Iterable[Row]) -> list[IndexInfo]:
    by_index: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_index[row["index"]].append(row)
    return [_index(parts) for parts in by_index.values()]


def _index(parts: list[Row]) -> IndexInfo:
    first, keys = parts[0], [row for row in parts if not row["is_included"]]
    columns = [f"{row['column']} {row['operators'] or ''} {DIRECTIONS[row['direction']]}".split(" ", 1) for row in keys]
    options = [f"{name} {' '.join(rest.split())}" for name, rest in columns if rest.strip()]
    options += [f"INCLUDE {row['column']}" for row in parts if row["is_included"]]
    options += ["NULLS NOT DISTINCT"] if first["nulls_equal"] else []
    return IndexInfo(
        columns=tuple(row["column"] for row in keys),
        unique=first["is_unique"],
        method=first["method"],
        condition=first["condition"],
        options=tuple(options),
        name=first["name"],
        constraint=first["is_constraint"],
    )


def _foreign_key(row: Row) -> ForeignKeyInfo:
    return ForeignKeyInfo(
        columns=tuple(row["columns"]),
        table=row["target"],
        targets=tuple(row["targets"]),
        on_delete=ACTIONS[row["on_delete"]],
        on_update=ACTIONS[row["on_update"]],
        name=row["name"],
    )
