"""Tables as a database reports them. Two are equal whichever tool created them and named their constraints.

Types, defaults and expressions have the database's spelling, one for each meaning: those of different dialects are not
comparable.
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
    """An SQL expression without a cast to the column's type; None when there is no default, or it is NULL."""
    generated: bool = False
    """Whether the database generates it: a serial, an identity, AUTO_INCREMENT, SQLite's rowid."""
    computed: str = ""
    """The SQL expression of a computed column; empty for a column that is written."""
    on_update: str = ""
    """The value that MySQL sets when the row is changed: `CURRENT_TIMESTAMP`."""
    collation: str = ""
    """Empty for the default of the table or the database."""
    comment: str = ""


@dataclass(frozen=True)
class IndexInfo:
    """An index; unique constraints are indexes, primary keys are not."""

    columns: tuple[str, ...]
    """In order; an expression is in parentheses: `(lower(name))`."""
    unique: bool = False
    method: str = "btree"
    """Lower case: `gin`, `fulltext`."""
    condition: str = ""
    """The SQL condition of a partial index."""
    options: tuple[str, ...] = ()
    """Its options: `name DESC`, `name (10)` for a prefix, an operator class, `INCLUDE name`."""
    name: str = field(default="", compare=False)
    constraint: bool = field(default=False, compare=False, repr=False)
    """Whether it was created as a constraint, and must be dropped as one."""

    @property
    def is_plain(self) -> bool:
        """Whether it has no properties besides its columns and its uniqueness."""
        expressions = any(column.startswith("(") for column in self.columns)
        return self.method == "btree" and not (self.condition or self.options or expressions)


@dataclass(frozen=True)
class ForeignKeyInfo:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    """For another schema, `schema.table`."""
    targets: tuple[str, ...]
    """The referenced columns, in the order of `columns`."""
    on_delete: str = "NO ACTION"
    """`CASCADE`, `RESTRICT`, `SET NULL`, `SET DEFAULT`, or `NO ACTION`, which includes MySQL's RESTRICT."""
    on_update: str = "NO ACTION"
    name: str = field(default="", compare=False)


@dataclass(frozen=True)
class TableInfo:
    """A table. The order of columns is that of the table, and is not compared."""

    name: str
    columns: Mapping[str, ColumnInfo]
    key: tuple[str, ...] = ()
    """The columns of the primary key in order."""
    indexes: tuple[IndexInfo, ...] = ()
    """Unordered."""
    foreign_keys: tuple[ForeignKeyInfo, ...] = ()
    checks: tuple[str, ...] = ()
    """The SQL of check and exclusion constraints."""
    collation: str = ""
    """MySQL's collation for columns without one."""
    comment: str = ""
    """SQLite has none."""

    def __post_init__(self) -> None:
        # A canonical order, so that equal sets are equal.
        for name in ("indexes", "foreign_keys", "checks"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name), key=_rank)))

    @property
    def unique_sets(self) -> list[tuple[str, ...]]:
        """The sets of columns that are unique together, without the primary key."""
        return [index.columns for index in self.indexes if index.unique and index.is_plain]


def _rank(part: IndexInfo | ForeignKeyInfo | str) -> str:
    """A text that is equal for equal parts."""
    return part if isinstance(part, str) else repr(replace(part, name=""))
