"""Which model files a service has. Files are looked at, never imported: models may import the configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

__all__ = ["check_extra_apart", "model_modules"]

FOLDER = "model_db"


def model_modules(package: Path, names: Sequence[str], *, setting: str, optional: bool) -> list[str]:
    """The importable names of a service's model files: `["xi_test.model_db.main"]`.

    A missing file is skipped when `optional`, else it raises ValueError with a sentence that names `setting`.
    """
    modules = []
    for name in names:
        if _file(package, name) is not None:
            modules.append(f"{package.name}.{FOLDER}.{name}")
        elif not optional:
            path = package / FOLDER / f"{name}.py"
            raise ValueError(
                f"{setting} lists {name!r}, but there is no file {path}. Create it or take it off the list."
            )
    return modules


def check_extra_apart(package: Path, migrated: Iterable[str], extra: Iterable[str]) -> None:
    """Raise ValueError when a migrated file imports a model of an extra one, for then aerich would migrate it."""
    apart = set(extra)
    for name in migrated:
        path = _file(package, name)
        if path is None:
            continue
        for module, imported in _imports(path):
            if module.rsplit(".", 1)[-1] in apart and (module.startswith(".") or f".{FOLDER}." in f".{module}"):
                raise ValueError(
                    f"{path} imports {imported} from {module}, a file of MODEL_EXTRA: aerich would migrate it with "
                    "the others. Refer to it without importing it, or move it to a file of MODEL_LIST."
                )


def _file(package: Path, name: str) -> Path | None:
    module, folder = package / FOLDER / f"{name}.py", package / FOLDER / name / "__init__.py"
    return module if module.is_file() else folder if folder.is_file() else None


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """The module and the names of every `from … import …` that runs when the file is imported."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # the import that follows reports it with its line
        return
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            yield module, ", ".join(alias.name for alias in statement.names)
