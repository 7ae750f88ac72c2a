"""The total of a list: counted, or estimated by the database's optimizer.

COUNT reads all matching rows or index entries. EXPLAIN reads none: it returns the number of rows that the optimizer
expects, from the statistics of the table (https://www.postgresql.org/docs/current/row-estimation-examples.html,
https://dev.mysql.com/doc/refman/8.4/en/explain-output.html). It may be wrong by any factor where columns depend on each
other or statistics are old. SQLite has no such number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from weakref import WeakSet

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.queryset import QuerySet

__all__ = ["TOTALS", "Total", "estimated_total"]

Total = Literal["exact", "estimate", "none"]
TOTALS: tuple[Total, ...] = ("exact", "estimate", "none")

_mariadb: WeakSet[BaseDBAsyncClient] = WeakSet()  # whose EXPLAIN has `filtered` only when it is asked for


async def estimated_total(queryset: QuerySet[Any]) -> int | None:
    """The number of rows that the optimizer expects; None on a database without an estimate."""
    connection = queryset._choose_db()
    dialect = connection.capabilities.dialect
    if dialect not in ("postgres", "mysql"):
        return None
    query: Any = queryset.order_by().using_db(connection)
    query._make_query()
    sql, values = query.query.get_parameterized_sql()
    if dialect == "postgres":
        _, (plan,) = await connection.execute_query(f"EXPLAIN (FORMAT JSON) {sql}", values)
        return _of_postgres(plan["QUERY PLAN"])
    return await _of_mysql(connection, sql, values)


def _of_postgres(plan: Any) -> int:
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    return int(parsed[0]["Plan"]["Plan Rows"])


async def _of_mysql(connection: BaseDBAsyncClient, sql: str, values: list[Any]) -> int:
    if connection not in _mariadb:
        _, steps = await connection.execute_query(f"EXPLAIN {sql}", values)
        if all("filtered" in step for step in steps):
            return _product(steps)
        _mariadb.add(connection)
    _, steps = await connection.execute_query(f"EXPLAIN EXTENDED {sql}", values)
    return _product(steps)


def _product(steps: Sequence[Mapping[str, Any]]) -> int:
    """The rows that the joins of the outermost SELECT produce: each step has those for one row of the step before."""
    outermost = [step for step in steps if step["id"] == steps[0]["id"]]
    return round(math.prod(float(step["rows"] or 0) * float(step["filtered"] or 0) / 100 for step in outermost))
