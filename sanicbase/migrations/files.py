"""The migration files of a label: their folder, the dialect they are written for, and their content."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from aerich.utils import decompress_dict
from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.statements import DATABASE_NAMES, Dialect

__all__ = ["Migration", "check_dialect", "dialect_of_files", "folder_of", "migrations_in"]

VERSION = re.compile(r"\d+_.*\.py")

# Syntax of one database only, as aerich writes it. Strings and comments are ignored.
DIALECT_SIGNS: dict[Dialect, re.Pattern[str]] = {
    "mysql": re.compile(r"`|\bAUTO_INCREMENT\b|\bMODIFY COLUMN\b"),
    "sqlite": re.compile(r"\bAUTOINCREMENT\b|\bPRAGMA\b"),
    "postgres": re.compile(
        r"\b(?:BIG|SMALL)?SERIAL\b|\bJSONB\b|\bTIMESTAMPTZ\b|\bCOMMENT ON\b|\bBYTEA\b|\bALTER COLUMN\b|::\w|"
        r"\bGENERATED (?:ALWAYS|BY DEFAULT) AS IDENTITY\b|\bDOUBLE PRECISION\b|\bCONCURRENTLY\b"
    ),
}
STRING_OR_COMMENT = re.compile(r"'(?:[^'\\]|''|\\.)*'|/\*.*?\*/|--[^\n]*", re.DOTALL)

ScriptFunction = Callable[[BaseDBAsyncClient], Awaitable[str]]


@dataclass(frozen=True)
class Migration:
    """A migration file. Its content is read on access; MigrationError is raised when it is not valid."""

    path: Path

    @property
    def name(self) -> str:
        """The name in aerich's table: `0_20260101000000_init.py`."""
        return self.path.name

    @property
    def number(self) -> int:
        """The number that orders the files."""
        return int(self.name.split("_")[0])

    @property
    def dialect(self) -> Dialect | None:
        """The dialect: DIALECT, or else inferred from the SQL; None when the SQL does not show it."""
        declared = self._constant("DIALECT")
        if declared is None:
            return self._detected_dialect
        if declared not in DIALECT_SIGNS:
            choices = ", ".join(map(repr, DIALECT_SIGNS))
            raise MigrationError(
                _(
                    "{path} has DIALECT = {declared!r}. Use one of {choices}.",
                    path=self.path,
                    declared=declared,
                    choices=choices,
                )
            )
        dialect: Dialect = declared
        return dialect

    @property
    def digest(self) -> str:
        """A digest of the file's content, without its formatting: it changes when other statements would be
        executed."""
        return hashlib.sha256(ast.dump(self._tree).encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """Whether the SQL runs in one transaction, where the database supports that."""
        return bool(getattr(self._module, "RUN_IN_TRANSACTION", True))

    @property
    def migrate_data(self) -> Callable[..., Awaitable[None]] | None:
        """The function that migrates data; None if the file has none."""
        function: Callable[..., Awaitable[None]] | None = getattr(self._module, "migrate_data", None)
        return function

    @property
    def migrates_data(self) -> bool:
        """Whether the file has such a function. The file is not executed."""
        return any(getattr(statement, "name", "") == "migrate_data" for statement in self._tree.body)

    @property
    def data_in_transaction(self) -> bool:
        """Whether the data is migrated in one transaction, together with the SQL where the database supports that."""
        return bool(getattr(self._module, "DATA_IN_TRANSACTION", True))

    @property
    def models_state(self) -> dict[str, Any] | None:
        """The models after the migration; None in files of aerich before 0.6."""
        state = self._constant("MODELS_STATE")
        return decompress_dict(str(state)) if state else None

    def script_function(self, direction: str) -> ScriptFunction:
        """The function `upgrade` or `downgrade`."""
        function: ScriptFunction | None = getattr(self._module, direction, None)
        if function is None:
            raise MigrationError(
                _(
                    "{path} has no function {direction}(db). Write `async def {direction}(db) -> str`.",
                    path=self.path,
                    direction=direction,
                )
            )
        return function

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self.path.read_bytes())
        except (OSError, SyntaxError, ValueError) as exc:
            raise self._unusable(exc) from exc

    @cached_property
    def _module(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        assert spec is not None  # noqa: S101  (it ends in .py)
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as exc:  # the author's file can raise anything
            raise self._unusable(exc) from exc
        return module

    def _unusable(self, error: Exception) -> MigrationError:
        cause = f"{type(error).__name__}: {error}"
        return MigrationError(
            _(
                "{path} cannot be read ({cause}). Correct it, or restore it from version control.",
                path=self.path,
                cause=cause,
            )
        )

    def _constant(self, name: str) -> object:
        """The constant value of a name at the top of the file, which is not executed."""
        for statement in self._tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                value = getattr(statement, "value", None)
                return value.value if isinstance(value, ast.Constant) else None
        return None

    @cached_property
    def _detected_dialect(self) -> Dialect | None:
        sql = STRING_OR_COMMENT.sub("''", "\n".join(self._sql_strings()))
        return next((dialect for dialect, sign in DIALECT_SIGNS.items() if sign.search(sql)), None)

    def _sql_strings(self) -> Iterator[str]:
        for function in self._tree.body:
            if isinstance(function, ast.AsyncFunctionDef) and function.name in ("upgrade", "downgrade"):
                for node in ast.walk(function):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield node.value


def migrations_in(folder: Path) -> list[Migration]:
    """The migrations of a folder in order."""
    files = [Migration(path) for path in folder.glob("*.py") if VERSION.fullmatch(path.name)]
    return sorted(files, key=lambda migration: (migration.number, migration.name))


def dialect_of_files(folder: Path) -> Dialect | None:
    """The dialect of a folder's migrations, from the first one that shows it; otherwise None."""
    return next((dialect for migration in migrations_in(folder) if (dialect := migration.dialect)), None)


def folder_of(migrations: Path, label: str, dialect: Dialect) -> Path:
    """The folder of a label's migrations for a database of that dialect, even if it has no files yet.

    `<label>`, as aerich creates it; `<dialect>/<label>` when that has files, or when `<label>` is of another dialect.
    """
    plain, nested = migrations / label, migrations / dialect / label
    if not migrations_in(nested) and dialect_of_files(plain) in (None, dialect):
        return plain
    return nested


def check_dialect(migration: Migration, label: str, dialect: Dialect) -> None:
    """Raise MigrationError when the label's migration is written for another kind of database."""
    if (written := migration.dialect) in (None, dialect):
        return
    expected, actual = DATABASE_NAMES[written], DATABASE_NAMES[dialect]
    raise MigrationError(
        _(
            "{migration} of {label} is written for {written}, and the database is {database}. Move the files for "
            "{written} to migrations/{written_folder}/{label}, and create those for this database: "
            "sanicGuider migrate init, or make",
            migration=migration.name,
            label=label,
            written=expected,
            database=actual,
            written_folder=written,
        )
    )
