"""PostgreSQL: every change is a statement, and all are in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from sanicbase.migrations.schema.changes import TableChange
from sanicbase.migrations.schema.names import primary_key_name
from sanicbase.migrations.schema.sql.writer import ServerWriter
from sanicbase.migrations.schema.tables import Column, Index, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["PostgresWriter"]

SERIAL = {"SERIAL": "INT", "BIGSERIAL": "BIGINT", "SMALLSERIAL": "SMALLINT"}


class PostgresWriter(ServerWriter):
    """https://www.postgresql.org/docs/current/sql-altertable.html"""

    dialect: ClassVar[Dialect] = "postgres"

    def create(self, table: Table, name: str | None = None) -> Iterator[str]:
        yield from super().create(table, name)
        for index in table.indexes:
            if not index.constraint:
                yield self._index(table, index)
        yield from self._comments(table, Table(table.name, ()))

    def constraints(self, table: Table) -> Iterator[str]:
        for index in table.indexes:
            if index.constraint:
                yield f"{self.constraint(index.name)}UNIQUE ({self.columns(index)})"
        for key in table.foreign_keys:
            yield self.reference(key)

    def _drop_references(self, change: TableChange) -> Iterator[str]:
        for key in change.dropped_foreign_keys:
            yield f"ALTER TABLE {self.table_name(change.before)} DROP CONSTRAINT {self.quote_name(key.name)}"

    def _drop_indexes(self, change: TableChange) -> Iterator[str]:
        table = self.table_name(change.before)
        for index in change.dropped_indexes:
            if index.constraint:
                yield f"ALTER TABLE {table} DROP CONSTRAINT {self.quote_name(index.name)}"
            else:
                yield f"DROP INDEX {self.name(index.name, change.before.schema)}"

    def _rename(self, change: TableChange) -> Iterator[str]:
        before, new = change.before, change.new
        table = self.table_name(new)
        if change.is_renamed:
            yield f"ALTER TABLE {self.table_name(before)} RENAME TO {self.quote_name(new.name)}"
            if new.key:
                yield self._rename_constraint(table, primary_key_name(before.name), primary_key_name(new.name))
        for was, now in change.renamed_columns:
            yield f"ALTER TABLE {table} RENAME COLUMN {self.quote_name(was)} TO {self.quote_name(now)}"
        for old, index in change.renamed_indexes:
            if index.constraint:
                yield self._rename_constraint(table, old.name, index.name)
            else:
                yield f"ALTER INDEX {self.name(old.name, new.schema)} RENAME TO {self.quote_name(index.name)}"
        for key, now_key in change.renamed_foreign_keys:
            yield self._rename_constraint(table, key.name, now_key.name)

    def _rename_constraint(self, table: str, old: str, new: str) -> str:
        return f"ALTER TABLE {table} RENAME CONSTRAINT {self.quote_name(old)} TO {self.quote_name(new)}"

    def _alter(self, change: TableChange) -> Iterator[str]:
        new, table = change.new, self.table_name(change.new)
        for column in change.dropped_columns:
            yield f"ALTER TABLE {table} DROP COLUMN {self.quote_name(column.name)}"
        for was, now in change.altered_columns:
            yield from self._alter_column(new, was, now)
        for column in change.added_columns:
            yield from self._add_column(table, column)
        for index in change.added_indexes:
            if index.constraint:
                unique = f"UNIQUE ({self.columns(index)})"
                yield f"ALTER TABLE {table} ADD {self.constraint(index.name)}{unique}"
            else:
                yield self._index(new, index)
        yield from self._comments(new, change.old)

    def _add_column(self, table: str, column: Column) -> Iterator[str]:
        """A constant default does not rewrite the table; it is removed again, because the model has no database
        default."""
        needs_value = not (column.null or column.default or column.generated)
        filling = self.filling(column) if needs_value else ""
        default = f" DEFAULT {filling}" if filling else ""
        yield f"ALTER TABLE {table} ADD COLUMN {self.column(column)}{default}"
        if filling:
            yield f"ALTER TABLE {table} ALTER COLUMN {self.quote_name(column.name)} DROP DEFAULT"

    def _alter_column(self, table: Table, was: Column, now: Column) -> Iterator[str]:
        alter = f"ALTER TABLE {self.table_name(table)} ALTER COLUMN {self.quote_name(now.name)}"
        if was.generated != now.generated:
            yield from self._generate(table, was, now, alter)
            return
        retyped = was.type != now.type
        if was.default and (retyped or not now.default):
            yield f"{alter} DROP DEFAULT"
        if retyped:
            yield f"{alter} TYPE {now.type} USING {self.quote_name(now.name)}::{now.type}"
        if now.default and (retyped or was.default != now.default):
            yield f"{alter} SET DEFAULT {now.default}"
        if was.null and not now.null:
            if value := now.default or self.filling(now):
                column = self.quote_name(now.name)
                yield f"UPDATE {self.table_name(table)} SET {column} = {value} WHERE {column} IS NULL"
            yield f"{alter} SET NOT NULL"
        elif now.null and not was.null:
            yield f"{alter} DROP NOT NULL"

    def _generate(self, table: Table, was: Column, now: Column, alter: str) -> Iterator[str]:
        """A serial is not a type of its own: it is an integer type, a sequence and a default."""
        old, new = _serial(was), _serial(now)
        sequence = f"{table.name}_{now.name}_seq"[:63]
        if was.generated and not now.generated:
            yield f"{alter} DROP DEFAULT"
            yield self._on_sequence(table, now, "DROP SEQUENCE IF EXISTS")
        if old != new:
            yield f"{alter} TYPE {new} USING {self.quote_name(now.name)}::{new}"
        if was.generated and now.generated:
            yield self._on_sequence(table, now, "ALTER SEQUENCE", f" AS {new}")
        elif now.generated:
            sequence_name = self.name(sequence, table.schema)
            owner = f"{self.table_name(table)}.{self.quote_name(now.name)}"
            yield f"CREATE SEQUENCE {sequence_name} AS {new} OWNED BY {owner}"
            highest = f"COALESCE((SELECT max({self.quote_name(now.name)}) FROM {self.table_name(table)}), 0) + 1"
            yield f"SELECT setval({self.quote_text(sequence_name)}, {highest}, false)"
            yield f"{alter} SET DEFAULT nextval({self.quote_text(sequence_name)})"

    def _on_sequence(self, table: Table, column: Column, verb: str, more: str = "") -> str:
        """A statement about the sequence of a column, whose name may differ from that of the column."""
        sequence = f"pg_get_serial_sequence({self.quote_text(self.table_name(table))}, {self.quote_text(column.name)})"
        return f"DO $$ BEGIN EXECUTE format('{verb} %s{more}', {sequence}); END $$"

    def _index(self, table: Table, index: Index) -> str:
        unique = "UNIQUE " if index.unique else ""
        kind = f"USING {index.kind} " if index.kind else ""
        head = f"CREATE {unique}INDEX{self._safe} {self.quote_name(index.name)} ON {self.table_name(table)}"
        return f"{head} {kind}({self.columns(index)}){index.extra}"

    def _comments(self, table: Table, old: Table) -> Iterator[str]:
        if table.comment != old.comment:
            yield f"COMMENT ON TABLE {self.table_name(table)} IS {self._comment(table.comment)}"
        for column in table.columns:
            was = old.column(column.name)
            if column.comment != (was.comment if was else ""):
                where = f"{self.table_name(table)}.{self.quote_name(column.name)}"
                yield f"COMMENT ON COLUMN {where} IS {self._comment(column.comment)}"

    def _comment(self, comment: str) -> str:
        return self.quote_text(comment) if comment else "NULL"


def _serial(column: Column) -> str:
    return SERIAL.get(column.generated.split(" ")[0], column.type) if column.generated else column.type
