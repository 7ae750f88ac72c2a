"""Migrations that come from two branches, or from another kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sanicbase.migrations.checking.findings import Finding
from sanicbase.migrations.checking.scripts import shown
from sanicbase.migrations.files import Migration
from sanicbase.migrations.standing import Standing
from sanicbase.migrations.statements import DATABASES, Dialect
from sanicbase.terminal import say

__all__ = ["look_at_files", "look_at_numbers"]


def look_at_numbers(standing: Standing, root: Path) -> Iterator[Finding]:
    """Pending migrations whose number another one has, or that come before one that is applied."""
    for migration in standing.pending:
        same = [each.name for each in standing.migrations if each.number == migration.number and each != migration]
        file = shown(migration.path, root)
        if same:
            yield _finding(
                "number.twice",
                file,
                say(
                    f"{', '.join(same)} has the number {migration.number} as well: two branches have each made one, "
                    "and neither knows the other's tables.",
                    f"{', '.join(same)} 的编号也是 {migration.number}：两个分支各生成了一个，互不知道对方的表。",
                ),
            )
        elif migration in standing.out_of_order:
            yield _finding(
                "number.late",
                file,
                say(
                    "A migration with a higher number is applied, and `up` refuses this one.",
                    "编号更大的迁移已经应用，`up` 会拒绝该迁移。",
                ),
            )


def look_at_files(standing: Standing, root: Path) -> Iterator[Finding]:
    """Pending migrations that are written for another database."""
    own = standing.label.dialect
    for migration in standing.pending:
        written = migration.dialect
        if written is not None and written != own:
            yield _foreign(standing, migration, written, root)


def _finding(code: str, file: str, sentence: str) -> Finding:
    remedy = say(
        "Delete the one that no database has, and make it anew behind the other: sanicGuider migrate make",
        "请删除还没有数据库应用过的那个，在另一个之后重新生成：sanicGuider migrate make",
    )
    return Finding(code, "error", file, "upgrade", 0, sentence, remedy)


def _foreign(standing: Standing, migration: Migration, written: Dialect, root: Path) -> Finding:
    label = standing.label
    own = label.dialect
    elsewhere = f"migrations/{written}/{label.name}"
    return Finding(
        "dialect.other",
        "error",
        shown(migration.path, root),
        "upgrade",
        0,
        say(
            f"It is written for {DATABASES[written]}, and the database of {label.name} is {DATABASES[own]}.",
            f"它是为 {DATABASES[written]} 编写的，而 {label.name} 的数据库是 {DATABASES[own]}。",
        ),
        say(
            f"Move it to {elsewhere}, and make one for this database: sanicGuider migrate make {label.service}",
            f"请把它移到 {elsewhere}，并为当前数据库生成：sanicGuider migrate make {label.service}",
        ),
    )
