"""What of a table its model has: which columns, which of them are relations, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sanicbase.cli.adding.fromtable.existing import Existing, Known
from sanicbase.cli.adding.fromtable.kinds import field_type
from sanicbase.cli.adding.fromtable.names import field_names, free_name
from sanicbase.migrations.introspection import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo
from sanicbase.migrations.statements import Dialect
from sanicbase.terminal import say

__all__ = ["Relation", "Shape", "shape_of"]


MISQUOTED: dict[Dialect, str] = {"postgres": '"', "sqlite": '"', "mysql": "`%"}


@dataclass(frozen=True)
class Relation:
    """A foreign key that leads to a model."""

    key: ForeignKeyInfo
    model: Known
    name: str
    """The attribute for the related object; that for its key has `_id` behind it."""


@dataclass(frozen=True)
class Shape:
    """What is kept of a table."""

    columns: Mapping[str, ColumnInfo]
    relations: Mapping[str, Relation]
    """By their columns."""
    names: Mapping[str, str]
    """The attribute of each column."""
    indexes: tuple[IndexInfo, ...]
    """Those that Tortoise has words for."""
    told: tuple[str, ...]
    """A sentence for each column or foreign key that the model has not."""


def shape_of(existing: Existing, name: str, *, migrated: bool) -> Shape:
    """What a model of that name has of the table; `migrated` when the service's migrations are to make its table.

    Raises ValueError with a sentence for a table that Tortoise can have no model for.
    """
    table = existing.table
    _check_name(existing)
    _check_key(table)
    reasons = {column: _left_out(existing, column) for column in table.columns.values()}
    columns = {column.name: column for column, reason in reasons.items() if not reason}
    found, plain = _led(existing, name, columns, migrated=migrated)
    names = field_names(column for column in columns if column not in found)
    relations = dict(_named(found, set(names.values())))
    names |= {column: f"{relation.name}_id" for column, relation in relations.items()}
    indexes = tuple(index for index in table.indexes if _is_sayable(index, columns))
    return Shape(columns, relations, names, indexes, (*filter(None, reasons.values()), *plain))


def _led(
    existing: Existing, name: str, columns: Mapping[str, ColumnInfo], *, migrated: bool
) -> tuple[dict[str, tuple[ForeignKeyInfo, Known]], list[str]]:
    """Which columns lead to models, and a sentence for each other foreign key of columns that are kept."""
    table, found, plain = existing.table, {}, []
    for key in (each for each in table.foreign_keys if set(each.columns) <= columns.keys()):
        known = existing.models.get(key.table) or (_itself(existing, name) if key.table == table.name else None)
        if known is None:
            plain.append(_no_model(existing, key))
        elif reason := _no_relation(existing, key, known, migrated=migrated):
            plain.append(reason)
        else:
            found[key.columns[0]] = (key, known)
    return found, plain


def _check_name(existing: Existing) -> None:
    name = existing.table.name
    if letter := _misquoted(existing, name):
        raise ValueError(
            say(
                f"The table {name} has a {letter} in its name, which Tortoise cannot quote. Rename it.",
                f"表名 {name} 里有 {letter}，Tortoise 无法正确引用。请改名。",
            )
        )


def _misquoted(existing: Existing, name: str) -> str:
    """A letter of a name with which Tortoise makes SQL that is none; empty when there is none."""
    return next((letter for letter in name if letter in MISQUOTED[existing.dialect]), "")


def _is_sayable(index: IndexInfo, columns: Mapping[str, ColumnInfo]) -> bool:
    """Whether Tortoise has words for an index. It takes some names of columns for expressions, and quotes them not."""
    expressions = not index.unique and any(letter in name for name in index.columns for letter in '() ".:')
    return index.is_plain and set(index.columns) <= columns.keys() and not expressions


def _check_key(table: TableInfo) -> None:
    if len(table.key) == 1:
        return
    if table.key:
        columns = ", ".join(table.key)
        raise ValueError(
            say(
                f"The primary key of {table.name} has several columns ({columns}), and a model has a key of one. Give "
                f"the table a key of its own, such as a column that counts, and make ({columns}) a unique set.",
                f"{table.name} 的主键由多列组成（{columns}），而模型的主键只能是一列。请给表加一个单列主键"
                f"（例如自增列），并把（{columns}）改为唯一约束。",
            )
        )
    raise ValueError(
        say(
            f"{table.name} has no primary key, by which a model tells its rows apart. Give it one.",
            f"{table.name} 没有主键，模型无法区分各行。请给它加上主键。",
        )
    )


def _left_out(existing: Existing, column: ColumnInfo) -> str:
    """Why the model has not that column; empty when it has. Raises ValueError when it can not do without it."""
    name, table = column.name, existing.table
    is_key = name in table.key
    if column.computed or (column.generated and not is_key):
        return say(
            f"{name} is left out: the database computes it, and Tortoise would write it.",
            f"{name} 没有写入模型：它的值由数据库生成，而 Tortoise 会写入它。",
        )
    reason = _unfit(existing, column, is_key=is_key)
    if not reason:
        return ""
    if is_key or not (column.nullable or column.default is not None):
        raise ValueError(
            say(
                f"{table.name}.{name} {reason[0]}, and no row can be written without it. "
                + (
                    "Change that."
                    if is_key
                    else "Change that, or let it be NULL, or give it a default: then it is left out."
                ),
                f"{table.name}.{name} {reason[1]}，而没有它又无法写入行。"
                + ("请先更改。" if is_key else "请先更改，或允许 NULL，或设置默认值：之后模型里会省略这一列。"),
            )
        )
    given = column.default if column.default is not None else "NULL"
    return say(
        f"{name} is left out: it {reason[0]}. New rows have its default there, {given}.",
        f"{name} 没有写入模型：它{reason[1]}。新的行使用它的默认值 {given}。",
    )


def _unfit(existing: Existing, column: ColumnInfo, *, is_key: bool) -> tuple[str, str] | None:
    """What about a column Tortoise cannot do, in both languages; None when it can."""
    if letter := _misquoted(existing, column.name):
        return f"has a {letter} in its name, which Tortoise cannot quote", f"的名字里有 {letter}，Tortoise 无法正确引用"
    kind = field_type(column, existing.dialect, key=is_key)
    if kind is None:
        reason = f"is {column.type}, which no field of Tortoise reads and writes"
        return reason, f"的类型是 {column.type}，Tortoise 没有能读写它的字段"
    if is_key and not kind.indexable:
        return f"is {column.type}, which Tortoise takes for no key", f"的类型是 {column.type}，Tortoise 不能以它为主键"
    return None


def _itself(existing: Existing, name: str) -> Known:
    """The model that is being made, for a table that refers to itself."""
    table = existing.table
    return Known(name, "", f"{existing.label}.{name}", table.key[0], {}, frozenset(), migrated=True)


def _no_model(existing: Existing, key: ForeignKeyInfo) -> str:
    column = ", ".join(key.columns)
    return say(
        f"{column} is a plain column: it leads to {key.table}, of which {existing.label} has no model. Add that one "
        f"first to have a relation: sanicGuider add model NAME --from-table {key.table}",
        f"{column} 是普通列：它指向 {key.table}，而 {existing.label} 没有这个表的模型。需要关联时，请先添加它："
        f"sanicGuider add model NAME --from-table {key.table}",
    )


def _no_relation(existing: Existing, key: ForeignKeyInfo, known: Known, *, migrated: bool) -> str:
    """Why a foreign key to a model is no relation; empty when it is one."""
    column = ", ".join(key.columns)
    if len(key.columns) > 1:
        return say(
            f"({column}) are plain columns: a relation has one column, and this foreign key to {key.table} several.",
            f"（{column}）是普通列：关联只能有一列，而这个指向 {key.table} 的外键有多列。",
        )
    if migrated and not known.migrated:
        return say(
            f"{column} is a plain column: it leads to {known.name}, a model of MODEL_EXTRA, and the migrations do not "
            "make its table.",
            f"{column} 是普通列：它指向 MODEL_EXTRA 里的模型 {known.name}，迁移不会创建那个表。",
        )
    if key.targets[0] not in (known.key, *known.unique):
        return say(
            f"{column} is a plain column: it leads to {key.table}.{key.targets[0]}, which is not unique in "
            f"{known.name}.",
            f"{column} 是普通列：它指向的 {key.table}.{key.targets[0]} 在模型 {known.name} 里不是唯一的。",
        )
    if key.on_delete == "SET NULL" and not existing.table.columns[column].nullable:
        return say(
            f"{column} is a plain column: deleting its {known.name} would set it to NULL, which it may not be.",
            f"{column} 是普通列：删除 {known.name} 会把它设为 NULL，而它不允许为 NULL。",
        )
    return ""


def _named(found: Mapping[str, tuple[ForeignKeyInfo, Known]], taken: set[str]) -> Iterator[tuple[str, Relation]]:
    """The relations, each with a name that nothing else has."""
    for column, (key, known) in found.items():
        (alike,) = field_names([column]).values()
        base = alike.removesuffix("_id") or alike
        if {base: base} != field_names([base]):  # it is a keyword, or the like
            base = f"{base.rstrip('_')}_ref"
        while base in taken or f"{base}_id" in taken:
            base = free_name(f"{base}_ref", taken)
        taken |= {base, f"{base}_id"}
        yield column, Relation(key, known, base)
