"""The model files of a service. They are parsed, never imported, because models may import the configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from sanicbase.i18n import gettext as _

__all__ = [
    "check_extra_not_imported",
    "check_shared",
    "is_shared",
    "model_modules",
    "owner_of",
    "shared_label",
]

FOLDER = "model_db"


def is_shared(name: str) -> bool:
    """Whether the name is a module of another service, `shop.model_db.main`, not a file of the service itself."""
    return "." in name


def owner_of(module: str) -> str:
    """The service that a module belongs to."""
    return module.partition(".")[0]


def shared_label(module: str, connection: str) -> str:
    """The label of another service's module: the one that it has in that service, because relations name it.

    `shop` on `default` and on a connection of that name; `shop_log` on a connection `log` or `shop_log`.
    """
    owner = owner_of(module)
    if connection in ("default", owner) or connection.startswith(f"{owner}_"):
        return owner if connection == "default" else connection
    return f"{owner}_{connection}"


def check_shared(project: Path, service: str, migrated: Iterable[str], extra: Iterable[str]) -> None:
    """Raise ValueError for a module of another service that does not exist, or is in the wrong setting."""
    for name in filter(is_shared, migrated):
        raise ValueError(
            _(
                "MODEL_LIST has {name!r}: {owner} migrates its own models. Move it to MODEL_EXTRA",
                name=name,
                owner=owner_of(name),
            )
        )
    for name in filter(is_shared, extra):
        if owner_of(name) == service:
            file = name.rpartition(".")[2]
            raise ValueError(
                _(
                    "MODEL_EXTRA has {name!r}: write {file!r} for a file of {service}",
                    name=name,
                    file=file,
                    service=service,
                )
            )
        if _module_file(project, name) is None:
            raise ValueError(
                _(
                    "MODEL_EXTRA lists {name!r}, but there is no file {path}.py. Correct the name or remove it from "
                    "the list",
                    name=name,
                    path=project.joinpath(*name.split(".")),
                )
            )


def model_modules(package: Path, names: Sequence[str], *, setting: str, optional: bool) -> list[str]:
    """The importable names of a service's model files: `["xi_test.model_db.main"]`.

    A missing file is skipped when `optional`, else it raises ValueError with a message that names `setting`.
    """
    modules = []
    for name in names:
        if _file(package / FOLDER, name) is not None:
            modules.append(f"{package.name}.{FOLDER}.{name}")
        elif not optional:
            path = package / FOLDER / f"{name}.py"
            raise ValueError(
                _(
                    "{setting} lists {name!r}, but there is no file {path}. Create it or remove it from the list.",
                    setting=setting,
                    name=name,
                    path=path,
                )
            )
    return modules


def check_extra_not_imported(package: Path, migrated: Iterable[str], extra: Iterable[str]) -> None:
    """Raise ValueError when a migrated file imports from an extra one, because aerich would migrate those models."""
    extra_files = set(extra)
    for name in migrated:
        path = _file(package / FOLDER, name)
        if path is None:
            continue
        for module, imported in _imports(path):
            is_own = module.startswith((".", f"{package.name}.{FOLDER}."))
            if is_own and module.rsplit(".", 1)[-1] in extra_files:
                raise ValueError(
                    _(
                        "{path} imports {imported} from {module}, a file of MODEL_EXTRA: aerich would migrate it, too. "
                        "Refer to it without importing it, or move it to a file of MODEL_LIST",
                        path=path,
                        imported=imported,
                        module=module,
                    )
                )


def _file(folder: Path, name: str) -> Path | None:
    module, package = folder / f"{name}.py", folder / name / "__init__.py"
    return module if module.is_file() else package if package.is_file() else None


def _module_file(project: Path, module: str) -> Path | None:
    """The file of a module in the project's folder, or in an installed package."""
    *folders, name = module.split(".")
    if file := _file(project.joinpath(*folders), name):
        return file
    spec = PathFinder.find_spec(owner_of(module))
    places = (spec and spec.submodule_search_locations) or ()
    return next((file for directory in places if (file := _file(Path(directory, *folders[1:]), name))), None)


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """The module and the names of every `from … import …` that runs when the file is imported."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # the later import reports it with its line
        return
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            yield module, ", ".join(alias.name for alias in statement.names)
