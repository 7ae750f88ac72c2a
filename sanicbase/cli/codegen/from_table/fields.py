"""Writes the fields of a model for existing columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sanicbase.cli.codegen.from_table.field_types import FieldType, field_type
from sanicbase.cli.codegen.from_table.formatting import assignment, literal
from sanicbase.cli.codegen.from_table.mapping import Relation, TableMapping
from sanicbase.cli.codegen.from_table.source_table import SourceTable
from sanicbase.i18n import gettext as _
from sanicbase.migrations.introspection import ColumnInfo, IndexInfo
from sanicbase.migrations.statements import Dialect

__all__ = ["FieldWriter"]

Arguments = dict[str, str]

NOW = re.compile(r"CURRENT_TIMESTAMP(?:\(\d\))?")
BARE_SQL = re.compile(r"'(?:[^']|'')*'|-?\d+(?:\.\d+)?|CURRENT_\w+(?:\(\d\))?|TRUE|FALSE", re.IGNORECASE)
BOOLEANS = {"true": "True", "1": "True", "false": "False", "0": "False"}
WHOLE = re.compile(r"-?\d{1,19}")
TEXT = re.compile(r"'(?P<text>[^'\"\\\n\r\0\x1a]*)'")


class FieldWriter:
    """Writes the fields of a class column by column, and collects `imports` and `notes`."""

    def __init__(
        self, existing: SourceTable, shape: TableMapping, name: str, things: str, module: str, *, quoted: bool
    ) -> None:
        self.existing = existing
        self.shape = shape
        self.imports = {("tortoise", "fields"), ("sanicbase", "DBModel")}
        self.notes: list[str] = []
        self._name = name
        self._things = things
        self._module = module
        self._quoted = quoted

    def lines(self, column: ColumnInfo) -> Iterator[str]:
        """The lines for a column."""
        if relation := self.shape.relations.get(column.name):
            yield from self._relation(column, relation)
        else:
            yield from self._field(column)

    def is_declared(self, index: IndexInfo) -> bool:
        """Whether a field declares that index."""
        (name, *others) = index.columns
        if others or name in self.existing.table.key:
            return not others and index.unique
        # MySQL creates an index for each foreign key; on others, the relation must declare it.
        return name in self.shape.relations or self._kind(self.shape.columns[name]).indexable

    def _field(self, column: ColumnInfo) -> Iterator[str]:
        name, kind = self.shape.names[column.name], self._kind(column)
        arguments: Arguments = dict(kind.arguments)
        if self._is_key(column):
            arguments |= self._key_arguments(column, kind)
        if kind.indexable and not self._is_key(column):
            arguments |= self._index_arguments(column)
        arguments |= self._common_arguments(column, column.name != name)
        target = name
        if kind.name == "JSONField":
            target = f"{name}: fields.JSONField[object]"
        if column.on_update and kind.name == "DatetimeField":
            arguments = {"auto_now": "True"} | arguments
        elif column.default is not None and not (self._is_key(column) and kind.name != "UUIDField"):
            arguments["db_default"] = _default(column, kind, self.existing.dialect)
        arguments |= self._description_argument(column)
        self.notes += self._notes(column, kind)
        yield assignment(target, f"fields.{kind.name}", arguments)

    def _relation(self, column: ColumnInfo, relation: Relation) -> Iterator[str]:
        model, single = relation.model, self._is_single(relation)
        arguments: Arguments = {"0": literal(model.reference)}
        if self._is_key(column):
            arguments["primary_key"] = "True"
        if related := self._related_name(relation):
            arguments["related_name"] = literal(related)
        if relation.key.on_delete != "CASCADE":
            arguments["on_delete"] = f"fields.{relation.key.on_delete.replace(' ', '_')}"
        if relation.key.targets[0] != model.key:
            arguments["to_field"] = literal(model.unique[relation.key.targets[0]])
        if not self._is_key(column) and self.existing.dialect != "mysql":
            arguments |= {key: value for key, value in self._index_arguments(column).items() if key != "unique"}
        arguments |= self._common_arguments(column, column.name != f"{relation.name}_id")
        if column.default is not None:
            arguments["db_default"] = f"fields.SqlDefault({literal(_sql(column.default, self.existing.dialect))})"
        arguments |= self._description_argument(column)
        self.notes += _on_update_notes(column, relation)
        kind = "OneToOne" if single else "ForeignKey"
        nullable = "null" in arguments
        annotation = f"fields.{kind}{'Nullable' if nullable else ''}Relation[{self._annotated(relation)}]"
        yield assignment(f"{relation.name}: {annotation}", f"fields.{kind}Field", arguments)
        yield f"    {relation.name}_id: {self._key_type(column)}{' | None' if nullable else ''}"

    def _kind(self, column: ColumnInfo) -> FieldType:
        kind = field_type(column, self.existing.dialect, key=self._is_key(column))
        assert kind is not None  # noqa: S101  (the shape has no others)
        if self.existing.dialect == "sqlite" and column.generated and "BIGINT" not in self.existing.referring:
            return FieldType("IntField", {}, column.type)
        return kind

    def _is_key(self, column: ColumnInfo) -> bool:
        return column.name in self.existing.table.key

    def _is_single(self, relation: Relation) -> bool:
        """Whether the reference is unique."""
        sets = [*self.existing.table.unique_sets, self.existing.table.key]
        return relation.key.columns in sets

    def _key_arguments(self, column: ColumnInfo, kind: FieldType) -> Arguments:
        counted = {} if column.generated or not kind.name.endswith("IntField") else {"generated": "False"}
        return {"primary_key": "True"} | counted

    def _index_arguments(self, column: ColumnInfo) -> Arguments:
        unique = [index.unique for index in self.shape.indexes if index.columns == (column.name,)]
        return ({"unique": "True"} if True in unique else {}) | ({"db_index": "True"} if False in unique else {})

    def _common_arguments(self, column: ColumnInfo, renamed: bool) -> Arguments:
        nullable = column.nullable and not self._is_key(column)
        arguments = {"null": "True"} if nullable else {}
        return arguments | ({"source_field": literal(column.name)} if renamed else {})

    def _description_argument(self, column: ColumnInfo) -> Arguments:
        return {"description": literal(column.comment)} if column.comment else {}

    def _related_name(self, relation: Relation) -> str:
        """The name of the reverse relation if Tortoise's default is used already; otherwise empty."""
        usual = f"{self.existing.table.name}s"
        relations_to_model = [other for other in self.shape.relations.values() if other.model == relation.model]
        names = set(self.shape.names.values()) if not relation.model.module else set()
        if len(relations_to_model) == 1 and usual not in relation.model.names | names and usual.isidentifier():
            return ""
        return f"{relation.name}_{self._things}"

    def _annotated(self, relation: Relation) -> str:
        """The model in an annotation; it is imported if it is in another file."""
        model = relation.model
        if not model.module:
            return f'"{model.name}"' if self._quoted else model.name
        if model.module != self._module:
            self.imports.add((model.module, model.name))
        return model.name

    def _key_type(self, column: ColumnInfo) -> str:
        python = self._kind(column).python
        if python == "UUID":
            self.imports.add(("uuid", "UUID"))
        return python

    def _notes(self, column: ColumnInfo, kind: FieldType) -> Iterator[str]:
        """A note for each difference between the column and the one that the model would create."""
        ddl_type = "INTEGER" if column.generated and self.existing.dialect == "sqlite" else kind.ddl_type
        if ddl_type != column.type:
            yield _(
                "{column} is {type}. {field} reads and writes it, but would create it as {new_type}.",
                column=column.name,
                type=column.type,
                field=kind.name,
                new_type=ddl_type,
            )
        if self._is_key(column) and column.default is not None and kind.name != "UUIDField":
            yield _(
                "{column} has the default {default}, which the model does not have. Set the key of each row.",
                column=column.name,
                default=column.default,
            )
        if column.collation:
            yield _(
                "{column} has the collation {collation}, which the model does not have.",
                column=column.name,
                collation=column.collation,
            )
        if column.on_update:
            yield _("The database sets {column} on each update. The model uses auto_now.", column=column.name)


def _default(column: ColumnInfo, kind: FieldType, dialect: Dialect) -> str:
    """The database's default for Tortoise: a constant if Tortoise creates the same, otherwise SQL."""
    sql = column.default or ""
    if kind.name == "DatetimeField" and NOW.fullmatch(sql):
        return "fields.Now()"
    if kind.name == "BooleanField" and sql.lower() in BOOLEANS:
        return BOOLEANS[sql.lower()]
    if kind.name.endswith("IntField") and WHOLE.fullmatch(sql):
        return sql
    if kind.name == "CharField" and (match := TEXT.fullmatch(sql)):
        return literal(match["text"])
    return f"fields.SqlDefault({literal(_sql(sql, dialect))})"


def _sql(expression: str, dialect: Dialect) -> str:
    """An expression for DEFAULT: MySQL and SQLite require parentheses unless it is a constant."""
    return expression if dialect == "postgres" or BARE_SQL.fullmatch(expression) else f"({expression})"


def _on_update_notes(column: ColumnInfo, relation: Relation) -> Iterator[str]:
    if relation.key.on_update != "NO ACTION":
        yield _(
            "{column} has ON UPDATE {on_update}, which the model does not have.",
            column=column.name,
            on_update=relation.key.on_update,
        )
