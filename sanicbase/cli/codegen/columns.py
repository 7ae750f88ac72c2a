"""Reads the columns of a model from its class, to generate schemas for it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from sanicbase.cli.project import Project, parse_file
from sanicbase.i18n import gettext as _

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
    "TimeField": ("time", ""),
    "TimeDeltaField": ("timedelta", ""),
    "UUIDField": ("UUID", ""),
    "JSONField": ("Any", "{}"),
}
SECRET = re.compile("password|passwd|secret|token|digest|hash|salt")
"""Parts of column names that schemas omit from responses."""

IMPORTS = {"Decimal": "decimal", "UUID": "uuid", "Any": "typing"}
IMPORTS |= dict.fromkeys(("date", "datetime", "time", "timedelta"), "datetime")
GENERATED = ("SmallIntField", "IntField", "BigIntField", "UUIDField")
"""Fields that generate the primary key."""


@dataclass(frozen=True)
class Column:
    """A column in a schema. `sample` is a value for a test; empty if none is known."""

    name: str
    type: str
    sample: str
    length: int | None
    primary: bool
    unique: bool
    null: bool
    filled: bool
    """Whether an INSERT can omit it."""
    automatic: bool
    """Whether only the database or the model writes it."""
    default: str = ""
    """Its default as code, if it is a constant in the class."""
    wide: bool = False
    """Whether it is a 64-bit integer, which JavaScript cannot represent as a number."""

    @property
    def omitted(self) -> str:
        """The default in a schema; empty for a required field."""
        if self.default and not self.null:
            return f" = {self.default}"
        return " | None = None" if self.filled else ""


@dataclass(frozen=True)
class Columns:
    """The class of a model: its module, its columns, and whether it has unsupported ones."""

    module: str
    model: str
    columns: tuple[Column, ...]
    relations: bool
    declares_key: bool
    unsupported: tuple[str, ...]
    """Required columns whose types are unknown here."""

    @property
    def key(self) -> Column:
        """The primary key."""
        return next(column for column in self.columns if column.primary)

    @property
    def key_attribute(self) -> str:
        """The attribute for the key of a row: `pk` for a key that the class does not declare."""
        return self.key.name if self.declares_key else "pk"

    @property
    def written(self) -> list[Column]:
        """The columns that a client can set."""
        return [column for column in self.columns if not column.automatic]

    @property
    def changed(self) -> list[Column]:
        """The columns that a client can change later."""
        return [column for column in self.written if not column.primary]

    @property
    def readable(self) -> list[Column]:
        """The columns that every client can read."""
        return [column for column in self.columns if not SECRET.search(column.name)]

    @property
    def needed(self) -> list[Column]:
        """The columns that a new row requires."""
        return [column for column in self.written if not column.filled]

    @property
    def can_be_created(self) -> bool:
        """Whether a test has a value for each required column."""
        return not self.relations and not self.unsupported and all(column.sample for column in self.needed)


def columns_of(project: Project, service: str, model: str) -> Columns | None:
    """The columns of the service's model with that name, case-insensitively; None when there is none.

    Raises ValueError for a column whose name is not valid in a schema.
    """
    classes = {
        cls.name: (module, cls)
        for module, tree in _modules(project, f"{service}/model_db/")
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
    }
    class_name = next((name for name in classes if name.lower() == model.lower()), None)
    if class_name is None:
        return None
    module, cls = classes[class_name]
    columns = _columns(module, cls, {name: definition for name, (_, definition) in classes.items()})
    _check_names(columns)
    return columns


def _modules(project: Project, folder: str) -> Iterator[tuple[str, ast.Module]]:
    """The model files by module name, including planned ones."""
    existing = [f"{folder}{file.name}" for file in (project.folder / folder).glob("*.py")]
    for path in sorted({*existing, *(path for path in project.planned if path.startswith(folder))}):
        planned = project.planned.get(path)
        tree = parse_file(project.folder / path) if planned is None else ast.parse(planned)
        yield path.removesuffix(".py").replace("/", "."), tree


def imports_of(columns: Sequence[Column], *from_typing: str) -> list[str]:
    """The imports that the types need (`from datetime import datetime`), and these names of `typing`."""
    imports: dict[str, set[str]] = {"typing": set(from_typing)}
    lines = []
    for column in columns:
        plain = column.type.removesuffix("_type")
        if module := IMPORTS.get(plain):
            if plain == column.type:
                imports.setdefault(module, set()).add(plain)
            else:
                lines.append(f"from {module} import {plain} as {column.type}")
    lines += [f"from {module} import {', '.join(sorted(names))}" for module, names in imports.items() if names]
    return sorted(set(lines))


def _check_names(columns: Columns) -> None:
    for column in columns.columns:
        if hasattr(BaseModel, column.name):
            raise ValueError(
                _(
                    "{model} has a column {column!r}, which is the name of a method of pydantic's models. "
                    "Rename the column, or write the schema by hand.",
                    model=columns.model,
                    column=column.name,
                )
            )


def _columns(module: str, cls: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Columns:
    body = list(_body(cls, classes))
    columns = [column for statement in body if (column := _column(statement))]
    keys = {f"{name}_id" for name, field in _fields(body) if _is_primary(field)}
    columns = [replace(column, primary=True) if column.name in keys else column for column in columns]
    declares_key = any(column.primary for column in columns)
    if not declares_key:
        columns.insert(0, Column("id", "int", "", None, True, False, False, True, True))
    if "Timestamps" in _bases(cls, classes):
        columns += [
            Column(name, "datetime", "", None, False, False, False, True, True) for name in ("created_at", "updated_at")
        ]
    relations = any(
        "ForeignKey" in ast.unparse(field) or "OneToOne" in ast.unparse(field) for _, field in _fields(body)
    )
    known = {column.name for column in columns}
    unsupported = [name for name, field in _fields(body) if not {name, f"{name}_id"} & known and not _is_filled(field)]
    # In a class with a field `date`, the name does not mean the type any more.
    typed_columns = [
        replace(column, type=f"{column.type}_type") if column.type in known else column for column in columns
    ]
    return Columns(module, cls.name, tuple(typed_columns), relations, declares_key, tuple(unsupported))


def _body(cls: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.stmt]:
    """The statements of the class, after those of its base classes in the service."""
    for base in cls.bases:
        if isinstance(base, ast.Name) and base.id in classes and base.id != cls.name:
            yield from _body(classes[base.id], classes)
    yield from cls.body


def _bases(cls: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> set[str]:
    names = {base.id for base in cls.bases if isinstance(base, ast.Name)} - {cls.name}
    return names.union(*(_bases(classes[name], classes) for name in names & classes.keys()))


def _fields(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.Call]]:
    """The names to which a `…Field(…)` call is assigned, without many-to-many relations."""
    for statement in body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Call):
            kind = _kind(value)
            if kind.endswith("Field") and kind != "ManyToManyField":
                yield target.id, value


def _kind(field: ast.Call) -> str:
    return field.func.attr if isinstance(field.func, ast.Attribute) else getattr(field.func, "id", "")


def _keywords(field: ast.Call) -> dict[str | None, ast.expr]:
    return {argument.arg: argument.value for argument in field.keywords}


def _is_filled(field: ast.Call) -> bool:
    keywords = _keywords(field)
    automatic = _is_true(keywords.get("auto_now")) or _is_true(keywords.get("auto_now_add"))
    return automatic or _is_true(keywords.get("null")) or "default" in keywords or "db_default" in keywords


def _column(statement: ast.stmt) -> Column | None:
    if isinstance(statement, ast.AnnAssign) and statement.value is None:  # author_id: int, the key of a relation
        name = getattr(statement.target, "id", "")
        kind, _, null = ast.unparse(statement.annotation).partition(" | ")
        is_key = name.endswith("_id") and kind in ("int", "str", "UUID") and null in ("", "None")
        return Column(name, kind, "", None, False, False, bool(null), bool(null), False) if is_key else None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    value = getattr(statement, "value", None)
    if isinstance(target, ast.Name) and isinstance(value, ast.Call) and _kind(value) in TYPES:
        return _field(target.id, value)
    return None


def _field(name: str, field: ast.Call) -> Column:
    kind, keywords = _kind(field), _keywords(field)
    length = keywords.get("max_length")
    primary = _is_primary(field)
    automatic = _is_true(keywords.get("auto_now")) or _is_true(keywords.get("auto_now_add"))
    is_generated = kind in GENERATED and not _is_false(keywords.get("generated"))
    automatic = automatic or (primary and (is_generated or "default" in keywords))
    python, sample = TYPES[kind]
    letters = length.value if isinstance(length, ast.Constant) and isinstance(length.value, int) else None
    return Column(
        name=name,
        type=python,
        sample=f'{sample[: letters + 1]}"' if letters and python == "str" and letters < len("first") else sample,
        length=letters,
        primary=primary,
        unique=_is_true(keywords.get("unique")),
        null=_is_true(keywords.get("null")),
        filled=automatic or _is_filled(field),
        automatic=automatic,
        default=_literal(keywords.get("default"), python),
        wide=kind == "BigIntField",
    )


def _is_primary(field: ast.Call) -> bool:
    keywords = _keywords(field)
    return _is_true(keywords.get("primary_key")) or _is_true(keywords.get("pk"))


def _literal(value: ast.expr | None, python: str) -> str:
    """The code of a constant of that type; empty for any other expression."""
    if not isinstance(value, ast.Constant) or type(value.value).__name__ != python:
        return ""
    return json.dumps(value.value, ensure_ascii=False) if python == "str" else repr(value.value)


def _is_false(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True
