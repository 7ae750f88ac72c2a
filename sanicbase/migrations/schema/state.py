"""The state of the models in a migration file: aerich's description of them, with their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from aerich.utils import get_models_describe
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase.migrations.schema.literals import literal
from sanicbase.migrations.schema.models import schema_of_models
from sanicbase.migrations.schema.names import foreign_key_name, unique_name
from sanicbase.migrations.schema.tables import Column, ForeignKey, Index, Schema, Table
from sanicbase.migrations.statements import Dialect

__all__ = ["schema_of_state", "state_of_models"]

TABLES = "tables"
"""The key beside the models in the state; names of models contain a dot."""
UNSET = "__NOT_SET__"


def state_of_models(label: str, connection: str) -> dict[str, Any]:
    """The current state of a label's models, as its migrations record it."""
    schema = schema_of_models(Tortoise.apps[label].values(), get_connection(connection))
    return {**get_models_describe(label), TABLES: [table.to_json() for table in schema.values()]}


def schema_of_state(state: Mapping[str, Any], dialect: Dialect) -> Schema:
    """The tables after a migration; for a file that aerich wrote, as far as its description contains them."""
    if TABLES in state:
        return {read["name"]: Table.from_json(read) for read in state[TABLES]}
    described = _AerichDescription(state, dialect)
    tables = [table for model in state.values() for table in described.tables(model)]
    return {table.name: table for table in tables}


class _AerichDescription:
    """Tables from aerich's description of models."""

    def __init__(self, state: Mapping[str, Any], dialect: Dialect) -> None:
        self._state = state
        self._dialect = dialect

    def tables(self, model: Mapping[str, Any]) -> Iterator[Table]:
        if model.get("managed") is False:
            return
        fields = {field["name"]: field for field in [model["pk_field"], *model["data_fields"]]}
        relations = [*model["fk_fields"], *model["o2o_fields"]]
        columns = {name: field["db_column"] for name, field in fields.items()}
        columns |= {
            relation["name"]: columns[relation["raw_field"]]
            for relation in relations
            if relation.get("raw_field") in columns
        }
        name = model["table"]
        yield Table(
            name=name,
            columns=tuple(self._column(field, is_key=field is model["pk_field"]) for field in fields.values()),
            key=model["pk_field"]["db_column"],
            indexes=tuple(self._indexes(model, fields.values(), columns)),
            foreign_keys=tuple(key for relation in relations for key in self._foreign_key(name, relation, columns)),
            comment=model["description"] or "",
            schema=model.get("schema"),
            model=model["name"],
        )
        for field in model["m2m_fields"]:
            if not field["_generated"] and field["model_name"] in self._state:
                yield self._join_table(model, field)

    def _column(self, field: Mapping[str, Any], *, is_key: bool) -> Column:
        generated = ""
        if is_key and field["generated"]:
            generated = self._generated(str(self._type(field)))
        default = field.get("db_default", UNSET)
        return Column(
            name=field["db_column"],
            type=self._type(field),
            null=field["nullable"],
            default="" if default == UNSET else self._default(default),
            generated=generated,
            comment=field["description"] or "",
        )

    def _type(self, field: Mapping[str, Any]) -> str:
        types = field["db_field_types"]
        return str(types.get(self._dialect) or types[""])

    def _generated(self, type_: str) -> str:
        if self._dialect == "sqlite":
            return "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
        if self._dialect == "mysql":
            return f"{type_} NOT NULL PRIMARY KEY AUTO_INCREMENT"
        serial = {"INT": "SERIAL", "SMALLINT": "SMALLSERIAL"}.get(type_, "BIGSERIAL")
        return f"{serial} NOT NULL PRIMARY KEY"

    def _default(self, default: object) -> str:
        """The SQL of a default. Tortoise describes an expression by its `repr`; `Now()` is the only one known here."""
        if default == "Now()":
            return "CURRENT_TIMESTAMP(6)" if self._dialect == "mysql" else "CURRENT_TIMESTAMP"
        return literal(default, self._dialect)

    def _indexes(
        self, model: Mapping[str, Any], fields: Iterable[Mapping[str, Any]], columns: Mapping[str, str]
    ) -> Iterator[Index]:
        table = model["table"]
        for field in fields:
            column = field["db_column"]
            if field is model["pk_field"]:
                continue
            if field["unique"]:
                yield Index(unique_name(table, column, self._dialect), (column,), unique=True, constraint=True)
            elif field["indexed"]:
                yield self._plain("idx", table, (column,))
        for names in model["unique_together"]:
            index = self._plain("uid", table, tuple(columns.get(name, name) for name in names))
            yield replace(index, unique=True, constraint=True)
        for index_description in model["indexes"]:
            names, more = (
                (index_description["fields"], index_description)
                if isinstance(index_description, Mapping)
                else (index_description, {})
            )
            index = self._plain("idx", table, tuple(columns.get(name, name) for name in names or more["expressions"]))
            yield replace(
                index, name=more.get("name") or index.name, kind=more.get("type", ""), extra=more.get("extra", "")
            )

    def _plain(self, prefix: str, table: str, columns: tuple[str, ...]) -> Index:
        return Index(f"{prefix}_{table[:11]}_{columns[0][:7]}_{_hash(6, table, *columns)}", columns)

    def _foreign_key(self, table: str, field: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[ForeignKey]:
        target = self._state.get(field["python_type"])
        if target is not None and field.get("db_constraint", True) and field.get("raw_field") in columns:
            yield self._reference(table, columns[field["raw_field"]], target, field["on_delete"])

    def _reference(self, table: str, column: str, target: Mapping[str, Any], on_delete: str) -> ForeignKey:
        to_table, to_column = target["table"], target["pk_field"]["db_column"]
        hashed = f"fk_{table[:8]}_{to_table[:8]}_{_hash(8, table, column, to_table, to_column)}"
        name = foreign_key_name(table, column, hashed, self._dialect)
        return ForeignKey(name, column, to_table, to_column, on_delete, target.get("schema"))

    def _join_table(self, model: Mapping[str, Any], field: Mapping[str, Any]) -> Table:
        name, target = field["through"], self._state[field["model_name"]]
        ends = ((field["backward_key"], model), (field["forward_key"], target))
        columns = tuple(Column(column, self._type(end["pk_field"])) for column, end in ends)
        index = replace(self._plain("uidx", name, tuple(column for column, _ in ends)), unique=True)
        keys = tuple(self._reference(name, column, end, field["on_delete"]) for column, end in ends)
        if self._dialect == "mysql":  # MySQL has chosen the names
            keys = tuple(replace(key, name=f"{name}_ibfk_{number}") for number, key in enumerate(keys, 1))
            index = replace(index, constraint=True)
        return Table(
            name=name,
            columns=columns,
            indexes=(index,) if field["unique"] else (),
            foreign_keys=keys if field.get("db_constraint", True) else (),
            comment=field["description"] or "",
        )


def _hash(length: int, *parts: str) -> str:
    """How Tortoise names indexes and foreign keys."""
    return sha256(";".join(parts).encode()).hexdigest()[:length]
