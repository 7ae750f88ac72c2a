"""The effects of a statement on tables, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Action",
    "AddColumn",
    "AddIndex",
    "AlterColumn",
    "Column",
    "CopyRows",
    "CreateTable",
    "DropColumn",
    "DropTable",
    "FillColumns",
    "OtherChange",
    "RenameColumn",
    "RenameTable",
    "SaveRows",
    "SetTimeout",
]


@dataclass(frozen=True)
class Column:
    """A column as a statement defines it."""

    name: str
    type: str
    null: bool = True
    default: bool = False
    """Whether the database gives it a value other than NULL."""
    generated: bool = False
    unique: bool = False


@dataclass(frozen=True)
class CreateTable:
    """A table is created."""

    table: str
    columns: tuple[Column, ...]
    uniques: tuple[tuple[str, ...], ...]
    if_not_exists: bool


@dataclass(frozen=True)
class DropTable:
    """A table is dropped."""

    table: str


@dataclass(frozen=True)
class RenameTable:
    """A table is renamed."""

    table: str
    to: str


@dataclass(frozen=True)
class AddColumn:
    """A column is added."""

    table: str
    column: Column


@dataclass(frozen=True)
class DropColumn:
    """A column is dropped."""

    table: str
    name: str


@dataclass(frozen=True)
class RenameColumn:
    """A column is renamed."""

    table: str
    name: str
    to: str


@dataclass(frozen=True)
class AlterColumn:
    """The type, NULL or default of a column changes; None means unchanged."""

    table: str
    name: str
    type: str | None = None
    null: bool | None = None
    default: bool | None = None


@dataclass(frozen=True)
class AddIndex:
    """An index is created, or a constraint with an index."""

    table: str
    columns: tuple[str, ...]
    unique: bool = False
    constraint: bool = False
    concurrent: bool = False
    """Whether the statement allows concurrent writes: CONCURRENTLY, LOCK=NONE, USING INDEX."""


@dataclass(frozen=True)
class CopyRows:
    """The rows of a table are copied to another: each target column, its source, and whether it replaces NULL."""

    table: str
    source: str
    columns: tuple[tuple[str, str, bool], ...]
    """`("price", "cost", True)`: `price` is the column `cost`, or another value where that is NULL. `("price", "",
    True)`: a value."""


@dataclass(frozen=True)
class SaveRows:
    """Rows of a table are copied elsewhere, in a way that is not analyzed."""

    table: str


@dataclass(frozen=True)
class FillColumns:
    """Rows get values in these columns."""

    table: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class SetTimeout:
    """The session sets a lock timeout."""


@dataclass(frozen=True)
class OtherChange:
    """A table is changed in a way that is not analyzed."""

    table: str


Action = (
    CreateTable
    | DropTable
    | RenameTable
    | AddColumn
    | DropColumn
    | RenameColumn
    | AlterColumn
    | AddIndex
    | CopyRows
    | SaveRows
    | FillColumns
    | SetTimeout
    | OtherChange
)
