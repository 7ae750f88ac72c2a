"""Compares the tables of a database with its applied migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.findings import Finding, Severity
from sanicbase.migrations.checks.types import types_differ
from sanicbase.migrations.introspection import ColumnInfo, TableInfo
from sanicbase.migrations.schema.literals import quote_name
from sanicbase.migrations.schema.tables import Column, Index, Schema, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["check_drift"]


def check_drift(expected: Schema, actual: Mapping[str, TableInfo], dialect: Dialect, file: str) -> Iterator[Finding]:
    """The findings about the tables; `file` is the last applied migration. Tables that no migration created, and those
    of other schemas, are ignored."""
    check = _DriftCheck(dialect, file)
    by_name = {name.lower(): table for name, table in actual.items()}
    for table in expected.values():
        if table.schema:
            continue
        if (table_info := by_name.get(table.name.lower())) is None:
            yield check.finding(
                "error",
                _("The database has no table {table}.", table=table.name),
                _drift_remedy(),
            )
        else:
            yield from check.table(table, table_info)


@dataclass(frozen=True)
class _DriftCheck:
    dialect: Dialect
    file: str

    def finding(self, severity: Severity, sentence: str, remedy: str) -> Finding:
        return Finding("database.drift", severity, self.file, "upgrade", 0, sentence, remedy)

    def table(self, table: Table, real: TableInfo) -> Iterator[Finding]:
        columns = {name.lower(): column for name, column in real.columns.items()}
        for column in table.columns:
            if actual := columns.pop(column.name.lower(), None):
                yield from self._column(table, column, actual)
            else:
                name = f"{table.name}.{column.name}"
                yield self.finding("error", _("The database has no column {name}.", name=name), _drift_remedy())
        for extra in columns.values():
            yield self._surplus_column(table, extra)
        for index in table.indexes:
            yield from self._index(table, index, real)
        keys = {(key.columns, key.table.lower()) for key in real.foreign_keys}
        for key in table.foreign_keys:
            if not key.schema and ((key.column,), key.table.lower()) not in keys:
                yield self.finding(
                    "warning",
                    _(
                        "In the database {table}.{column} has no foreign key to {target_table}: rows may refer to "
                        "missing rows.",
                        table=table.name,
                        column=key.column,
                        target_table=key.table,
                    ),
                    _drift_remedy(),
                )

    def _column(self, table: Table, column: Column, real: ColumnInfo) -> Iterator[Finding]:
        name = f"{table.name}.{column.name}"
        if not column.generated and types_differ(column.type, real.type, self.dialect):
            yield self.finding(
                "warning",
                _(
                    "{name} is {type} in the database, but {declared_type} in its migrations.",
                    name=name,
                    type=real.type,
                    declared_type=column.type,
                ),
                _drift_remedy(),
            )
        if column.name != table.key and not column.generated and column.null != real.nullable:
            actual, expected = ("NULL", "NOT NULL") if real.nullable else ("NOT NULL", "NULL")
            yield self.finding(
                "warning",
                _(
                    "{name} is {nullability} in the database, but {declared} in its migrations.",
                    name=name,
                    nullability=actual,
                    declared=expected,
                ),
                _drift_remedy(),
            )
        if column.default and column.default.upper() != "NULL" and real.default is None and not real.generated:
            yield self.finding(
                "warning",
                _(
                    "{name} has no default in the database, but {default} in its migrations.",
                    name=name,
                    default=column.default,
                ),
                _drift_remedy(),
            )

    def _surplus_column(self, table: Table, column: ColumnInfo) -> Finding:
        required = not (column.nullable or column.generated or column.computed or column.default is not None)
        fails = _(", and inserts without it fail") if required else ""
        return self.finding(
            "error" if required else "warning",
            _(
                "The database has a column {table}.{column} that no migration created{consequence}.",
                table=table.name,
                column=column.name,
                consequence=fails,
            ),
            _drift_remedy(),
        )

    def _index(self, table: Table, index: Index, real: TableInfo) -> Iterator[Finding]:
        if index.kind or index.extra or any("(" in name for name in index.columns):
            return
        index_columns = tuple(name.lower() for name in index.columns)
        if index.unique:
            sets = [{name.lower() for name in unique_set} for unique_set in (*real.unique_sets, real.key)]
            missing = set(index_columns) not in sets
        else:
            leading = [tuple(name.lower() for name in other.columns[: len(index_columns)]) for other in real.indexes]
            missing = index_columns not in leading
        if not missing:
            return
        listed = ", ".join(index.columns)
        danger = _("duplicate rows are possible") if index.unique else _("queries by them read the whole table")
        columns = ", ".join(quote_name(name, self.dialect) for name in index.columns)
        names = quote_name(index.name, self.dialect), quote_name(table.name, self.dialect)
        sql = f"CREATE {'UNIQUE ' * index.unique}INDEX {names[0]} ON {names[1]} ({columns})"
        unique = _("unique ") if index.unique else ""
        yield self.finding(
            "error" if index.unique else "warning",
            _(
                "The table {table} has no {unique}index on {columns} in the database: {consequence}.",
                table=table.name,
                unique=unique,
                columns=listed,
                consequence=danger,
            ),
            _("Create it in a migration (`sanicGuider migrate make --empty`): {sql}", sql=sql),
        )


def _drift_remedy() -> str:
    return _(
        "The database was changed by hand, or a migration was faked. Bring the database to the state of the migrations."
    )
