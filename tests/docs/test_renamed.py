"""Names that have been replaced stay gone: nothing defines them, no import leads to them, and users are told."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLES = sorted((ROOT / "tests/docs/renamed").glob("*.toml"))
FOLDERS = ("sanicbase", "xi_test", "examples", "tests", "benchmarks")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")) + sorted(ROOT.glob("*.py"))
TEMPLATES = sorted((ROOT / "sanicbase/cli/templates").rglob("*.py.j2"))
DEFINITION = re.compile(r"^ *(?:class|def|async def) (\w+)|^(\w+)(?:: .+)? = ", re.MULTILINE)


def renamed(kind: str) -> dict[str, str]:
    """The replaced names of all tables: the old dotted name and the new one."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in TABLES]
    return {old: new for table in tables for old, new in table.get(kind, {}).items()}


PUBLIC = renamed("public")
MODULES = renamed("modules")
TOP_LEVEL = re.compile(r"sanicbase\.\w+(\.\w+)?")
"""What services import from `sanicbase` itself, and what its classes have."""


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def definitions(tree: ast.AST, inside: str = "") -> Iterator[str]:
    """The dotted names that a module defines: classes, functions, constants, and what classes have."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ClassDef(name=name):
                yield f"{inside}{name}"
                yield from definitions(node, f"{inside}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield f"{inside}{name}"
            case ast.Assign(targets=targets):
                yield from (f"{inside}{target.id}" for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{inside}{name}"


@cache
def defined() -> dict[str, list[str]]:
    """The files that define a name."""
    files: dict[str, list[str]] = {}
    for path, tree in trees().items():
        for name in set(definitions(tree)):
            files.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return files


@cache
def imports() -> dict[str, set[str]]:
    """What each file imports."""
    return {str(path.relative_to(ROOT)): set(imported(tree)) for path, tree in trees().items()}


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports, also those of `from package import module`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)


def tail(dotted: str) -> str:
    """The name itself, with its class where it is a class's: `DBModel.update_by_pk`, `Problem`."""
    parts = dotted.split(".")
    return ".".join(parts[-2:]) if len(parts) > 1 and parts[-2][:1].isupper() else parts[-1]


def test_there_is_something_to_look_for() -> None:
    assert PUBLIC
    assert MODULES
    assert {"Gone", "Gone.attribute", "VALUE"} <= set(definitions(ast.parse("class Gone:\n attribute = 1\nVALUE: int")))


def imported_by_services() -> list[str]:
    """The old names that are gone, not only in another module."""
    return sorted(old for old, new in PUBLIC.items() if TOP_LEVEL.fullmatch(old) and tail(old) != tail(new))


@pytest.mark.parametrize("old", imported_by_services())
def test_no_definition_has_an_old_public_name(old: str) -> None:
    name = tail(old)
    assert defined().get(name, []) == []
    if "." not in name:
        written = [
            str(path) for path in TEMPLATES for match in DEFINITION.finditer(path.read_text()) if name in match.groups()
        ]
        assert written == []


@pytest.mark.parametrize("old", sorted(MODULES))
def test_no_module_and_no_import_has_an_old_name(old: str) -> None:
    path = ROOT / old.replace(".", "/")
    assert not path.with_suffix(".py").exists()
    assert not (path / "__init__.py").exists()
    users = [
        file for file, names in imports().items() if any(name == old or name.startswith(f"{old}.") for name in names)
    ]
    assert users == []


@pytest.mark.parametrize("old", sorted(PUBLIC))
def test_nothing_imports_an_old_public_name(old: str) -> None:
    assert [file for file, names in imports().items() if old in names] == []


def test_users_are_told_of_each_public_name() -> None:
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    told += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "newsfragments").glob("*.md"))
    missing = [old for old, new in PUBLIC.items() if f"`{old}`" not in told or f"`{new}`" not in told]
    assert missing == []
