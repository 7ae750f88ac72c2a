"""A service whose tables are there, with rows, before a migration is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanicbase.migrations.checks.check import CheckOptions, check_label
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import Store
from tests.migrations.desk import DeskConfig, up, write

__all__ = ["PEN", "checked", "codes", "everything", "filled"]

TYPES: Mapping[str, str] = {"sqlite": "INTEGER", "postgres": "SERIAL", "aiomysql": "INT AUTO_INCREMENT"}
PEN = "CREATE TABLE pen (id {key} PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2) NOT NULL, note TEXT NULL)"
ROWS = "INSERT INTO pen (name, price, note) VALUES ('a', 1, 'x'), ('b', 2, NULL)"


async def filled(store: Store, *, rows: bool = True, more: str = "") -> DeskConfig:
    """The table `pen` with two rows or none, and the migration that has made it."""
    config = DeskConfig.on(store)
    dialect = {"aiomysql": "mysql"}.get(store.kind, store.kind)
    table, values = PEN.format(key=TYPES[store.kind]), ROWS if rows else "SELECT 1"
    write("0_1_init", f"{table}; {values}; {more}", head=f"DIALECT = {dialect!r}")
    await up(config)
    return config


async def checked(config: DeskConfig, **depth: Any) -> list[Finding]:
    """What is found about upgrades of the service's own label. Its files tell nothing of models."""
    findings = await everything(config, **depth)
    return [finding for finding in findings if finding.direction == "upgrade" and finding.code != "models.unwritten"]


async def everything(config: DeskConfig, **depth: Any) -> list[Finding]:
    """What is found about the service's own label."""
    async with migration_databases(config) as opened:
        (label,) = labels_of(opened)
        return await check_label(opened, label, CheckOptions(**depth))


def codes(findings: list[Finding]) -> list[tuple[str, int]]:
    """The findings in short: `("column.drop", 1)`."""
    return [(finding.code, finding.statement) for finding in findings]
