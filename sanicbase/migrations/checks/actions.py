"""What a statement may do to tables: plain values."""

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
    """Whether the database gives it a value that is not NULL."""
    generated: bool = False
    unique: bool = False


@dataclass(frozen=True)
class CreateTable:
    """A table is made."""

    table: str
    columns: tuple[Column, ...]
    uniques: tuple[tuple[str, ...], ...]
    if_not_exists: bool


@dataclass(frozen=True)
class DropTable:
    """A table goes."""

    table: str


@dataclass(frozen=True)
class RenameTable:
    """A table has another name from now on."""

    table: str
    to: str


@dataclass(frozen=True)
class AddColumn:
    """A column is added."""

    table: str
    column: Column


@dataclass(frozen=True)
class DropColumn:
    """A column goes."""

    table: str
    name: str


@dataclass(frozen=True)
class RenameColumn:
    """A column has another name from now on."""

    table: str
    name: str
    to: str


@dataclass(frozen=True)
class AlterColumn:
    """A column has another type, or takes NULL or not, or has a default or none; None for what stays."""

    table: str
    name: str
    type: str | None = None
    null: bool | None = None
    default: bool | None = None


@dataclass(frozen=True)
class AddIndex:
    """An index is made, or a constraint that has one."""

    table: str
    columns: tuple[str, ...]
    unique: bool = False
    constraint: bool = False
    concurrent: bool = False
    """Whether the statement says that others may write meanwhile: CONCURRENTLY, LOCK=NONE, USING INDEX."""


@dataclass(frozen=True)
class CopyRows:
    """The rows of a table are written to another one: each column, what it is taken from, and whether that is all."""

    table: str
    source: str
    columns: tuple[tuple[str, str, bool], ...]
    """`("price", "cost", True)`: `price` is the column `cost`, or another value where that is NULL.
    `("price", "", True)`: a value."""


@dataclass(frozen=True)
class SaveRows:
    """Rows of a table are written elsewhere, in a way that is not told here."""

    table: str


@dataclass(frozen=True)
class FillColumns:
    """Rows are given values in these columns."""

    table: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class SetTimeout:
    """The session does not wait for locks without an end."""


@dataclass(frozen=True)
class OtherChange:
    """A table is changed in a way that is not told here."""

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
