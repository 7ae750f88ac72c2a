"""Tables as a database reports them: equal when they are, whoever made them and whatever their constraints are called.

The spelling of types, defaults and expressions is the database's own, one for each meaning: those of different
dialects do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["ColumnInfo", "ForeignKeyInfo", "IndexInfo", "TableInfo"]


@dataclass(frozen=True)
class ColumnInfo:
    """A column."""

    name: str
    type: str
    """With its length or precision: `character varying(80)`, `bigint unsigned`, `VARCHAR(80)`."""
    nullable: bool = True
    default: str | None = None
    """An SQL expression without a cast to the column's type; None when there is none, or it is NULL."""
    generated: bool = False
    """Whether the database counts it up: a serial, an identity, AUTO_INCREMENT, SQLite's rowid."""
    computed: str = ""
    """The SQL expression that it always is; empty for a column that is written."""
    on_update: str = ""
    """What MySQL sets it to when the row is changed: `CURRENT_TIMESTAMP`."""
    collation: str = ""
    """Empty for that of the table, or of the database."""
    comment: str = ""


@dataclass(frozen=True)
class IndexInfo:
    """An index, or a unique constraint, which is one as well; the primary key is none of them."""

    columns: tuple[str, ...]
    """In their order; an expression stands in brackets: `(lower(name))`."""
    unique: bool = False
    method: str = "btree"
    """Lower-case: `gin`, `fulltext`."""
    condition: str = ""
    """Of a partial index, the SQL expression that its rows fulfil."""
    options: tuple[str, ...] = ()
    """What is not usual about it: `name DESC`, `name (10)` for a prefix, a class of operators, `INCLUDE name`."""
    name: str = field(default="", compare=False)
    constraint: bool = field(default=False, compare=False, repr=False)
    """Whether it was made as a constraint, and has to be dropped as one."""

    @property
    def is_plain(self) -> bool:
        """Whether its columns and its uniqueness are all there is to say about it."""
        expressions = any(column.startswith("(") for column in self.columns)
        return self.method == "btree" and not (self.condition or self.options or expressions)


@dataclass(frozen=True)
class ForeignKeyInfo:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    """Of another schema it is `schema.table`."""
    targets: tuple[str, ...]
    """The columns there, one for each."""
    on_delete: str = "NO ACTION"
    """`CASCADE`, `RESTRICT`, `SET NULL`, `SET DEFAULT` or `NO ACTION`, which is what MySQL's RESTRICT is, too."""
    on_update: str = "NO ACTION"
    name: str = field(default="", compare=False)


@dataclass(frozen=True)
class TableInfo:
    """A table. The order of its columns is that of the table, and makes no difference between two."""

    name: str
    columns: Mapping[str, ColumnInfo]
    key: tuple[str, ...] = ()
    """The columns of the primary key, in its order."""
    indexes: tuple[IndexInfo, ...] = ()
    """In no order of anybody's."""
    foreign_keys: tuple[ForeignKeyInfo, ...] = ()
    checks: tuple[str, ...] = ()
    """The SQL of check and exclusion constraints."""
    collation: str = ""
    """MySQL's for the columns that name none."""
    comment: str = ""
    """SQLite keeps none."""

    def __post_init__(self) -> None:
        # One order for each set, so that equal sets are equal.
        for name in ("indexes", "foreign_keys", "checks"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=_rank)))

    @property
    def unique_sets(self) -> list[tuple[str, ...]]:
        """The sets of columns that are unique together, besides the primary key."""
        return [index.columns for index in self.indexes if index.unique and index.is_plain]


def _rank(part: IndexInfo | ForeignKeyInfo | str) -> str:
    """A text that is the same for equal parts."""
    return part if isinstance(part, str) else repr(replace(part, name=""))
