"""What a model's columns are, read from its class: enough to write a schema beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanicbase.cli.project import Project, parsed

__all__ = ["Column", "Columns", "columns_of", "imports_of"]

TYPES = {
    "CharField": ("str", '"first"'),
    "TextField": ("str", '"first"'),
    "SmallIntField": ("int", "1"),
    "IntField": ("int", "1"),
    "BigIntField": ("int", "1"),
    "FloatField": ("float", "1.5"),
    "BooleanField": ("bool", "True"),
    "DecimalField": ("Decimal", ""),
    "DatetimeField": ("datetime", ""),
    "DateField": ("date", ""),
    "UUIDField": ("UUID", ""),
    "JSONField": ("Any", "{}"),
}
SECRET = re.compile("password|passwd|secret|token|digest|hash|salt")
"""Parts of the names of columns that are not for everybody."""

IMPORTS = {"Decimal": "decimal", "datetime": "datetime", "date": "datetime", "UUID": "uuid", "Any": "typing"}


@dataclass(frozen=True)
class Column:
    """A column as a schema has it. `sample` is a value for a test, empty where none is known."""

    name: str
    type: str
    sample: str
    length: int | None
    primary: bool
    unique: bool
    null: bool
    filled: bool
    """Whether it may be left out when a row is made."""
    automatic: bool
    """Whether nobody but the database, or the model, writes it."""


@dataclass(frozen=True)
class Columns:
    """A model's class: its module, its columns, and whether it has any that are not understood here."""

    module: str
    model: str
    columns: tuple[Column, ...]
    relations: bool

    @property
    def key(self) -> Column:
        """The primary key."""
        return next(column for column in self.columns if column.primary)

    @property
    def written(self) -> list[Column]:
        """What a client writes."""
        return [column for column in self.columns if not column.primary and not column.automatic]

    @property
    def shown(self) -> list[Column]:
        """What every reader may see."""
        return [column for column in self.columns if not SECRET.search(column.name)]

    @property
    def needed(self) -> list[Column]:
        """What a row cannot be made without."""
        return [column for column in self.written if not column.filled]

    @property
    def can_be_made(self) -> bool:
        """Whether a test knows a value for each column that a row needs."""
        return not self.relations and all(column.sample for column in self.needed)


def columns_of(project: Project, service: str, model: str) -> Columns | None:
    """The columns of the service's model of that name; None when there is none."""
    for file in sorted((project.folder / service / "model_db").glob("*.py")):
        for cls in parsed(file).body:
            if isinstance(cls, ast.ClassDef) and cls.name == model:
                return _columns(f"{service}.model_db.{file.stem}", cls)
    return None


def imports_of(columns: Sequence[Column], *more: str) -> list[str]:
    """The imports that the types need: `from datetime import datetime`; `more` is of `typing`."""
    wanted: dict[str, set[str]] = {"typing": set(more)}
    for column in columns:
        if module := IMPORTS.get(column.type):
            wanted.setdefault(module, set()).add(column.type)
    return [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(wanted.items()) if names]


def _columns(module: str, cls: ast.ClassDef) -> Columns:
    columns = [column for statement in cls.body if (column := _column(statement))]
    if not any(column.primary for column in columns):
        columns.insert(0, Column("id", "int", "", None, True, False, False, True, True))
    if any(isinstance(base, ast.Name) and base.id == "Timestamps" for base in cls.bases):
        columns += [
            Column(name, "datetime", "", None, False, False, False, True, True) for name in ("created_at", "updated_at")
        ]
    relations = any("ForeignKey" in ast.unparse(each) or "OneToOne" in ast.unparse(each) for each in _values(cls))
    return Columns(module, cls.name, tuple(columns), relations)


def _values(cls: ast.ClassDef) -> Iterator[ast.expr]:
    for statement in cls.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield statement.value


def _column(statement: ast.stmt) -> Column | None:
    if isinstance(statement, ast.AnnAssign) and statement.value is None:  # author_id: int, the key behind a relation
        name = getattr(statement.target, "id", "")
        is_key = name.endswith("_id") and ast.unparse(statement.annotation) == "int"
        return Column(name, "int", "", None, False, False, False, False, False) if is_key else None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    value = getattr(statement, "value", None)
    if not isinstance(target, ast.Name) or not isinstance(value, ast.Call):
        return None
    kind = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    return _field(target.id, kind, {each.arg: each.value for each in value.keywords}) if kind in TYPES else None


def _field(name: str, kind: str, given: dict[str | None, ast.expr]) -> Column:
    python, sample = TYPES[kind]
    length = given.get("max_length")
    automatic = _is_true(given.get("auto_now")) or _is_true(given.get("auto_now_add"))
    null = _is_true(given.get("null"))
    return Column(
        name=name,
        type=python,
        sample=sample,
        length=length.value if isinstance(length, ast.Constant) and isinstance(length.value, int) else None,
        primary=_is_true(given.get("primary_key")) or _is_true(given.get("pk")),
        unique=_is_true(given.get("unique")),
        null=null,
        filled=null or automatic or "default" in given or "db_default" in given,
        automatic=automatic,
    )


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True
