"""The tables of Tortoise's models."""

from __future__ import annotations

import datetime
import inspect
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.fields import Field
from tortoise.fields.relational import ManyToManyFieldInstance
from tortoise.indexes import Index as TortoiseIndex
from tortoise.models import Model

from sanicbase.errors import SanicBaseError
from sanicbase.migrations.schema.literals import literal
from sanicbase.migrations.schema.names import foreign_key_name, unique_name
from sanicbase.migrations.schema.tables import Column, ForeignKey, Index, Schema, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["is_managed", "schema_of_models", "tables_of_model"]

NOW: dict[Dialect, str] = {
    "postgres": "CURRENT_TIMESTAMP",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "(strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))",
}
UUID: dict[Dialect, str] = {
    "postgres": "gen_random_uuid()",
    "mysql": "(UUID())",
    # Version 4, variant 1 (RFC 9562), like uuid4.
    "sqlite": (
        "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || "
        "substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))"
    ),
}


def is_managed(model: type[Model]) -> bool:
    """Whether migrations create the model's table: not with `managed = False` in its `class Meta`."""
    return getattr(model.Meta, "managed", None) is not False


def schema_of_models(models: Iterable[type[Model]], client: BaseDBAsyncClient) -> Schema:
    """The tables of the models in a database of that dialect, including many-to-many tables."""
    managed = [model for model in models if is_managed(model)]
    model_tables = {model._meta.db_table for model in managed}
    tables: dict[str, Table] = {}
    for model in managed:
        for table in tables_of_model(model, client):
            if table.model or table.name not in model_tables:  # a model may be the table of a many-to-many relation
                tables[table.name] = table
    return tables


def tables_of_model(model: type[Model], client: BaseDBAsyncClient) -> list[Table]:
    """The table of the model, and those of its many-to-many relations."""
    reader = _Reader(model, client)
    return [reader.table(), *reader.join_tables()]


class _Reader:
    def __init__(self, model: type[Model], client: BaseDBAsyncClient) -> None:
        self._model = model
        self._meta = model._meta
        connection: Any = client
        self._generator = connection.schema_generator(client)
        self._dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]

    def table(self) -> Table:
        meta = self._meta
        projection = meta.fields_db_projection
        return Table(
            name=meta.db_table,
            columns=tuple(self._column(meta.fields_map[name], column) for name, column in projection.items()),
            key=meta.db_pk_column,
            indexes=tuple(_distinct(self._indexes())),
            foreign_keys=tuple(self._foreign_keys()),
            comment=meta.table_description or "",
            schema=meta.schema,
            model=f"{meta.app}.{self._model.__name__}",
        )

    def join_tables(self) -> Iterator[Table]:
        for name in sorted(self._meta.m2m_fields):
            field: Any = self._meta.fields_map[name]
            if not field._generated:
                yield self._join_table(field)

    def _join_table(self, field: ManyToManyFieldInstance[Any]) -> Table:
        name, schema = field.through, self._meta.schema
        columns, references = [], []
        for column, model in ((field.backward_key, self._model), (field.forward_key, field.related_model)):
            table, key = model._meta.db_table, model._meta.db_pk_column
            columns.append(Column(column, self._generator._get_pk_field_sql_type(model._meta.pk)))
            hashed = self._generator._get_fk_name(name, column, table, key)
            constraint = foreign_key_name(name, column, hashed, self._dialect)
            references.append(ForeignKey(constraint, column, table, key, str(field.on_delete), model._meta.schema))
        both = (field.backward_key, field.forward_key)
        index = Index(self._name("uidx", name, both), both, unique=True, constraint=self._dialect == "mysql")
        return Table(
            name=name,
            columns=tuple(columns),
            indexes=(index,) if field.unique else (),
            foreign_keys=tuple(references) if field.db_constraint else (),
            comment=field.description or "",
            schema=schema,
        )

    def _column(self, field: Field[Any], column: str) -> Column:
        type_ = field.get_for_dialect(self._dialect, "SQL_TYPE")
        generated = field.get_for_dialect(self._dialect, "GENERATED_SQL") if field.generated else None
        if generated and not field.pk:
            type_, generated = f"{type_} {generated}", None
        reference: Any = field.reference
        comment = reference.description if reference is not None else field.description
        return Column(
            name=column,
            type=str(type_),
            null=bool(field.null) and not field.pk,
            default=self._default(field),
            filling=self._filling(field),
            generated=str(generated or ""),
            comment=comment or "",
        )

    def _default(self, field: Field[Any]) -> str:
        if not field.has_db_default():
            return ""
        default: Any = field.db_default
        if hasattr(default, "get_sql"):
            return str(default.get_sql(dialect=self._dialect))
        return self._literal(field, default)

    def _filling(self, field: Field[Any]) -> str:
        """SQL for existing rows in a new column; empty when the model does not define it."""
        if field.null or field.pk or field.has_db_default():
            return ""
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
            return NOW[self._dialect] if issubclass(field.field_type, datetime.datetime) else ""
        default: Any = field.default
        if default is uuid.uuid4:
            return UUID[self._dialect]
        if default is None or inspect.iscoroutinefunction(default):
            return ""
        try:
            return self._literal(field, default() if callable(default) else default)
        except (TypeError, ValueError, SanicBaseError):  # a function with parameters, or a value without a literal
            return ""

    def _literal(self, field: Field[Any], value: object) -> str:
        """The value as the model writes it to this database."""
        return literal(field.to_db_value(value, self._model), self._dialect)

    def _indexes(self) -> Iterator[Index]:
        meta, dialect = self._meta, self._dialect
        for name, column in meta.fields_db_projection.items():
            field = meta.fields_map[name]
            if field.unique and not field.pk:
                yield Index(unique_name(meta.db_table, column, dialect), (column,), unique=True, constraint=True)
        for names in meta.unique_together:
            columns = self._columns(names)
            yield Index(self._name("uid", meta.db_table, columns), columns, unique=True, constraint=True)
        for name, column in meta.fields_db_projection.items():
            field = meta.fields_map[name]
            if field.index and not field.pk:
                yield Index(self._name("idx", meta.db_table, (column,)), (column,))
        for index in meta.indexes:
            yield self._index(index) if isinstance(index, TortoiseIndex) else self._plain(self._columns(index))

    def _plain(self, columns: tuple[str, ...]) -> Index:
        return Index(self._name("idx", self._meta.db_table, columns), columns)

    def _index(self, index: TortoiseIndex) -> Index:
        index.resolve_expressions(self._model)
        columns = self._columns(index.field_names) if index.fields else tuple(index.field_names)
        name = index.name or self._name("idx", self._meta.db_table, columns)
        return Index(name, columns, kind=index.INDEX_TYPE, extra=index.extra)

    def _columns(self, names: Iterable[str]) -> tuple[str, ...]:
        """The columns of fields; a relation stands for its column."""
        projection = self._meta.fields_db_projection
        columns = []
        for name in names:
            field = self._meta.fields_map.get(name)
            source = getattr(field, "source_field", None) or name
            columns.append(projection.get(source, source))
        return tuple(columns)

    def _name(self, prefix: str, table: str, columns: tuple[str, ...]) -> str:
        return str(self._generator._get_index_name(prefix, table, columns))

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        meta = self._meta
        for name, column in meta.fields_db_projection.items():
            reference: Any = meta.fields_map[name].reference
            if reference is None or not reference.db_constraint:
                continue
            to: Any = reference.to_field_instance
            target = reference.related_model._meta
            to_column = to.source_field or to.model_field_name
            hashed = self._generator._get_fk_name(meta.db_table, column, target.db_table, to_column)
            constraint = foreign_key_name(meta.db_table, column, hashed, self._dialect)
            yield ForeignKey(constraint, column, target.db_table, to_column, str(reference.on_delete), target.schema)


def _distinct(indexes: Iterable[Index]) -> Iterator[Index]:
    """Each index once, with a unique name: two on the same columns differ in their options."""
    once = {index.identity: index for index in indexes}
    names: set[str] = set()
    for index in once.values():
        name = index.name if index.name not in names else f"{index.name}_{len(names)}"
        names.add(name)
        yield replace(index, name=name)
