"""Where the tables of a database differ from what its applied migrations say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sanicbase.migrations.checking.findings import Finding, Severity
from sanicbase.migrations.checking.types import differ
from sanicbase.migrations.introspection import ColumnInfo, TableInfo
from sanicbase.migrations.schema.literals import quoted
from sanicbase.migrations.schema.tables import Column, Index, Schema, Table
from sanicbase.migrations.statements import Dialect
from sanicbase.terminal import say

__all__ = ["look_at_drift"]


def look_at_drift(said: Schema, there: Mapping[str, TableInfo], dialect: Dialect, file: str) -> Iterator[Finding]:
    """The findings about the tables; `file` is the migration that has said last what they are. Tables that no migration
    knows are somebody else's, as are those of another schema."""
    look = _Look(dialect, file)
    by_name = {name.lower(): table for name, table in there.items()}
    for table in said.values():
        if table.schema:
            continue
        if (real := by_name.get(table.name.lower())) is None:
            yield look.finding(
                "error",
                say(f"The database has no table {table.name}.", f"数据库中没有表 {table.name}。"),
                _by_hand(),
            )
        else:
            yield from look.table(table, real)


@dataclass(frozen=True)
class _Look:
    dialect: Dialect
    file: str

    def finding(self, severity: Severity, sentence: str, remedy: str) -> Finding:
        return Finding("database.drift", severity, self.file, "upgrade", 0, sentence, remedy)

    def table(self, table: Table, real: TableInfo) -> Iterator[Finding]:
        columns = {name.lower(): column for name, column in real.columns.items()}
        for column in table.columns:
            if found := columns.pop(column.name.lower(), None):
                yield from self._column(table, column, found)
            else:
                name = f"{table.name}.{column.name}"
                yield self.finding(
                    "error", say(f"The database has no column {name}.", f"数据库中没有列 {name}。"), _by_hand()
                )
        for more in columns.values():
            yield self._more(table, more)
        for index in table.indexes:
            yield from self._index(table, index, real)
        keys = {(key.columns, key.table.lower()) for key in real.foreign_keys}
        for key in table.foreign_keys:
            if not key.schema and ((key.column,), key.table.lower()) not in keys:
                yield self.finding(
                    "warning",
                    say(
                        f"In the database {table.name}.{key.column} does not refer to {key.table}: rows may name what "
                        "does not exist.",
                        f"数据库中 {table.name}.{key.column} 没有引用 {key.table} 的外键：可能指向不存在的行。",
                    ),
                    _by_hand(),
                )

    def _column(self, table: Table, column: Column, real: ColumnInfo) -> Iterator[Finding]:
        name = f"{table.name}.{column.name}"
        if not column.generated and differ(column.type, real.type, self.dialect):
            yield self.finding(
                "warning",
                say(
                    f"{name} is {real.type} in the database, and {column.type} by its migrations.",
                    f"{name} 在数据库中是 {real.type}，按迁移应为 {column.type}。",
                ),
                _by_hand(),
            )
        if column.name != table.key and not column.generated and column.null != real.nullable:
            own, other = ("NULL", "NOT NULL") if real.nullable else ("NOT NULL", "NULL")
            yield self.finding(
                "warning",
                say(
                    f"{name} is {own} in the database, and {other} by its migrations.",
                    f"{name} 在数据库中是 {own}，按迁移应为 {other}。",
                ),
                _by_hand(),
            )
        if column.default and column.default.upper() != "NULL" and real.default is None and not real.generated:
            yield self.finding(
                "warning",
                say(
                    f"{name} has no default in the database, and by its migrations {column.default}.",
                    f"{name} 在数据库中没有默认值，按迁移应为 {column.default}。",
                ),
                _by_hand(),
            )

    def _more(self, table: Table, column: ColumnInfo) -> Finding:
        required = not (column.nullable or column.generated or column.computed or column.default is not None)
        fails = say(", and rows cannot be inserted without it", "，且插入时必须给出它的值") if required else ""
        return self.finding(
            "error" if required else "warning",
            say(
                f"The database has a column {table.name}.{column.name} that no migration has made{fails}.",
                f"数据库中有列 {table.name}.{column.name}，但没有迁移建立过它{fails}。",
            ),
            _by_hand(),
        )

    def _index(self, table: Table, index: Index, real: TableInfo) -> Iterator[Finding]:
        if index.kind or index.extra or any("(" in name for name in index.columns):
            return
        wanted = tuple(name.lower() for name in index.columns)
        if index.unique:
            sets = [{name.lower() for name in each} for each in (*real.unique_sets, real.key)]
            missing = set(wanted) not in sets
        else:
            leading = [tuple(name.lower() for name in each.columns[: len(wanted)]) for each in real.indexes]
            missing = wanted not in leading
        if not missing:
            return
        listed = ", ".join(index.columns)
        danger = (
            say("rows may be there twice", "可能出现重复的行")
            if index.unique
            else say("what looks for them reads the whole table", "按它们查询会读取整张表")
        )
        columns = ", ".join(quoted(name, self.dialect) for name in index.columns)
        names = quoted(index.name, self.dialect), quoted(table.name, self.dialect)
        sql = f"CREATE {'UNIQUE ' * index.unique}INDEX {names[0]} ON {names[1]} ({columns})"
        unique = say("unique ", "唯一") if index.unique else ""
        yield self.finding(
            "error" if index.unique else "warning",
            say(
                f"The table {table.name} has no {unique}index on {listed} in the database: {danger}.",
                f"数据库中的表 {table.name} 没有 {listed} 上的{unique}索引：{danger}。",
            ),
            say(
                f"Make it by a migration (`sanicGuider migrate make --empty`): {sql}",
                f"请用迁移建立它（`sanicGuider migrate make --empty`）：{sql}",
            ),
        )


def _by_hand() -> str:
    return say(
        "It was changed by hand, or a migration was noted and not carried out. Bring the database to what the "
        "migrations say.",
        "它被手工改过，或某个迁移只做了记录而没有执行。请让数据库与迁移一致。",
    )
