"""Maps a table to a model: its columns, its relations, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sanicbase.cli.codegen.from_table.field_names import field_names, free_name
from sanicbase.cli.codegen.from_table.field_types import field_type
from sanicbase.cli.codegen.from_table.source_table import RelatedModel, SourceTable
from sanicbase.i18n import gettext as _
from sanicbase.migrations.introspection import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo
from sanicbase.migrations.statements import Dialect

__all__ = ["Relation", "TableMapping", "map_table"]


MISQUOTED: dict[Dialect, str] = {"postgres": '"', "sqlite": '"', "mysql": "`%"}


@dataclass(frozen=True)
class Relation:
    """A foreign key to a model."""

    key: ForeignKeyInfo
    model: RelatedModel
    name: str
    """The attribute of the related object; `_id` is appended for its key."""


@dataclass(frozen=True)
class TableMapping:
    """The parts of a table that the model has."""

    columns: Mapping[str, ColumnInfo]
    relations: Mapping[str, Relation]
    """By column."""
    names: Mapping[str, str]
    """The attribute of each column."""
    indexes: tuple[IndexInfo, ...]
    """The indexes that Tortoise supports."""
    notes: tuple[str, ...]
    """A sentence for each column or foreign key that the model does not have."""


def map_table(existing: SourceTable, name: str, *, migrated: bool) -> TableMapping:
    """The parts of the table that a model of that name has; `migrated` when the service's migrations should create it.

    Raises ValueError with a sentence for a table that Tortoise does not support.
    """
    table = existing.table
    _check_name(existing)
    _check_key(table)
    reasons = {column: _omission_reason(existing, column) for column in table.columns.values()}
    columns = {column.name: column for column, reason in reasons.items() if not reason}
    foreign_keys, plain = _foreign_keys(existing, name, columns, migrated=migrated)
    names = field_names(column for column in columns if column not in foreign_keys)
    relations = dict(_named_relations(foreign_keys, set(names.values())))
    names |= {column: f"{relation.name}_id" for column, relation in relations.items()}
    indexes = tuple(index for index in table.indexes if _is_supported(index, columns))
    return TableMapping(columns, relations, names, indexes, (*filter(None, reasons.values()), *plain))


def _foreign_keys(
    existing: SourceTable, name: str, columns: Mapping[str, ColumnInfo], *, migrated: bool
) -> tuple[dict[str, tuple[ForeignKeyInfo, RelatedModel]], list[str]]:
    """The relations, and a sentence for each other foreign key of the columns."""
    table, relations, plain = existing.table, {}, []
    for key in (foreign_key for foreign_key in table.foreign_keys if set(foreign_key.columns) <= columns.keys()):
        known = existing.models.get(key.table) or (_self_reference(existing, name) if key.table == table.name else None)
        if known is None:
            plain.append(_no_model(existing, key))
        elif reason := _no_relation_reason(existing, key, known, migrated=migrated):
            plain.append(reason)
        else:
            relations[key.columns[0]] = (key, known)
    return relations, plain


def _check_name(existing: SourceTable) -> None:
    name = existing.table.name
    if character := _misquoted(existing, name):
        raise ValueError(
            _(
                "The name of the table {name} contains {letter}, which Tortoise cannot quote. Rename it.",
                name=name,
                letter=character,
            )
        )


def _misquoted(existing: SourceTable, name: str) -> str:
    """A character of a name that Tortoise quotes incorrectly; empty when there is none."""
    return next((character for character in name if character in MISQUOTED[existing.dialect]), "")


def _is_supported(index: IndexInfo, columns: Mapping[str, ColumnInfo]) -> bool:
    """Whether Tortoise supports the index. It takes some column names for expressions and does not quote them."""
    expressions = not index.unique and any(character in name for name in index.columns for character in '() ".:')
    return index.is_plain and set(index.columns) <= columns.keys() and not expressions


def _check_key(table: TableInfo) -> None:
    if len(table.key) == 1:
        return
    if table.key:
        columns = ", ".join(table.key)
        raise ValueError(
            _(
                "The primary key of {table} has several columns ({columns}), but the key of a model has one. Add a "
                "single-column key, such as an auto-increment column, and make ({columns}) unique together.",
                table=table.name,
                columns=columns,
            )
        )
    raise ValueError(_("{table} has no primary key, and a model requires one. Add one.", table=table.name))


def _omission_reason(existing: SourceTable, column: ColumnInfo) -> str:
    """The reason why the model omits the column, or "". Raises ValueError when rows cannot be written without it."""
    name, table = column.name, existing.table
    is_key = name in table.key
    if column.computed or (column.generated and not is_key):
        return _("{name} is not in the model: the database computes it, and Tortoise would write it.", name=name)
    reason = _unsupported_reason(existing, column, is_key=is_key)
    if not reason:
        return ""
    if is_key or not (column.nullable or column.default is not None):
        if is_key:
            raise ValueError(
                _(
                    "{table}.{name} {reason}, and rows cannot be written without it. Change that.",
                    table=table.name,
                    name=name,
                    reason=reason,
                )
            )
        raise ValueError(
            _(
                "{table}.{name} {reason}, and rows cannot be written without it. Change that, allow NULL, or add a "
                "default: then the model omits the column.",
                table=table.name,
                name=name,
                reason=reason,
            )
        )
    default = column.default if column.default is not None else "NULL"
    return _(
        "{name} is not in the model: it {reason}. New rows get its default, {default}.",
        name=name,
        reason=reason,
        default=default,
    )


def _unsupported_reason(existing: SourceTable, column: ColumnInfo, *, is_key: bool) -> str:
    """The reason why Tortoise does not support the column, or ""."""
    if character := _misquoted(existing, column.name):
        return _("contains {letter} in its name, which Tortoise cannot quote", letter=character)
    kind = field_type(column, existing.dialect, key=is_key)
    if kind is None:
        return _("is {type}, which no Tortoise field supports", type=column.type)
    if is_key and not kind.indexable:
        return _("is {type}, which Tortoise does not support as a key", type=column.type)
    return ""


def _self_reference(existing: SourceTable, name: str) -> RelatedModel:
    """The model that is being generated, for a table that references itself."""
    table = existing.table
    return RelatedModel(name, "", f"{existing.label}.{name}", table.key[0], {}, frozenset(), migrated=True)


def _no_model(existing: SourceTable, key: ForeignKeyInfo) -> str:
    column = ", ".join(key.columns)
    return _(
        "{column} is a plain column: it references {target_table}, for which {label} has no model. For a relation, "
        "add that model first: sanicGuider add model NAME --from-table {target_table}",
        column=column,
        target_table=key.table,
        label=existing.label,
    )


def _no_relation_reason(existing: SourceTable, key: ForeignKeyInfo, known: RelatedModel, *, migrated: bool) -> str:
    """The reason why a foreign key to a model is not a relation, or ""."""
    column = ", ".join(key.columns)
    if len(key.columns) > 1:
        return _(
            "({column}) are plain columns: a relation has one column, but this foreign key to {target_table} has "
            "several.",
            column=column,
            target_table=key.table,
        )
    if migrated and not known.migrated:
        return _(
            "{column} is a plain column: it references {model}, a model of MODEL_EXTRA, whose table the migrations "
            "do not create.",
            column=column,
            model=known.name,
        )
    if key.targets[0] not in (known.key, *known.unique):
        return _(
            "{column} is a plain column: it references {target_table}.{target}, which is not unique in {model}.",
            column=column,
            target_table=key.table,
            target=key.targets[0],
            model=known.name,
        )
    if key.on_delete == "SET NULL" and not existing.table.columns[column].nullable:
        return _(
            "{column} is a plain column: deleting its {model} would set it to NULL, but it is NOT NULL.",
            column=column,
            model=known.name,
        )
    return ""


def _named_relations(
    foreign_keys: Mapping[str, tuple[ForeignKeyInfo, RelatedModel]], used: set[str]
) -> Iterator[tuple[str, Relation]]:
    """The relations, each with a unique name."""
    for column, (key, known) in foreign_keys.items():
        (field,) = field_names([column]).values()
        base = field.removesuffix("_id") or field
        if {base: base} != field_names([base]):  # it is a keyword, for example
            base = f"{base.rstrip('_')}_ref"
        while base in used or f"{base}_id" in used:
            base = free_name(f"{base}_ref", used)
        used |= {base, f"{base}_id"}
        yield column, Relation(key, known, base)
