"""Names that have been replaced stay gone: nothing defines them, no import leads to them, and the news list them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

TABLES = sorted((ROOT / "tests/docs/renamed").glob("*.toml"))
FOLDERS = ("sanicbase", "xi_test", "examples", "tests", "benchmarks")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")) + sorted(ROOT.glob("*.py"))
TEMPLATES = sorted((ROOT / "sanicbase/cli/templates").rglob("*.py.j2"))
DEFINITION = re.compile(r"^ *(?:class|def|async def) (\w+)|^(\w+)(?:: .+)? = ", re.MULTILINE)

pytestmark = pytest.mark.xdist_group("renamed")  # one process reads the sources


def renamed(kind: str) -> dict[str, str]:
    """The replaced names of all tables: the old dotted name and the new one."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in TABLES]
    return {old: new for table in tables for old, new in table.get(kind, {}).items()}


PUBLIC = renamed("public")
PARAMETERS = renamed("parameters")
MODULES = renamed("modules")
TOP_LEVEL = re.compile(r"sanicbase\.\w+(\.\w+)?")
"""What services import from `sanicbase` itself, and what its classes have."""


class Files(NamedTuple):
    """The files that define a name, and those that import it or something inside of it."""

    defining: defaultdict[str, list[str]]
    importing: defaultdict[str, list[str]]


@cache
def files() -> Files:
    """The syntax trees are not kept: each garbage collection of the later tests would look them through."""
    files = Files(defaultdict(list), defaultdict(list))
    for path in SOURCES:
        file, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))
        for name in set(definitions(tree)):
            files.defining[name].append(file)
        for outer in {outer for name in imported(tree) for outer in accumulate(name.split("."), "{}.{}".format)}:
            files.importing[outer].append(file)
    return files


def definitions(tree: ast.AST, inside: str = "") -> Iterator[str]:
    """The dotted names that a module defines: classes, functions with their parameters, constants, and what classes
    have."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.ClassDef(name=name):
                yield f"{inside}{name}"
                yield from definitions(node, f"{inside}{name}.")
            case ast.FunctionDef(name=name, args=args) | ast.AsyncFunctionDef(name=name, args=args):
                yield f"{inside}{name}"
                for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs):
                    yield f"{inside}{name}({argument.arg})"
            case ast.Assign(targets=targets):
                yield from (f"{inside}{target.id}" for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield f"{inside}{name}"


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


def test_the_lists_of_renamed_names_are_not_empty() -> None:
    assert PUBLIC
    assert PARAMETERS
    assert MODULES
    code = "class Gone:\n attribute = 1\n def method(self, *, option): ...\nVALUE: int"
    names = {"Gone", "Gone.attribute", "Gone.method", "Gone.method(option)", "VALUE"}
    assert names <= set(definitions(ast.parse(code)))


def imported_by_services() -> list[str]:
    """The old names that are gone, not only in another module."""
    return sorted(old for old, new in PUBLIC.items() if TOP_LEVEL.fullmatch(old) and tail(old) != tail(new))


@pytest.mark.parametrize("old", imported_by_services())
def test_no_definition_has_an_old_public_name(old: str) -> None:
    name = tail(old)
    assert files().defining[name] == []
    if "." not in name:
        written = [
            str(path) for path in TEMPLATES for match in DEFINITION.finditer(path.read_text()) if name in match.groups()
        ]
        assert written == []


@pytest.mark.parametrize("old", sorted(PARAMETERS))
def test_no_function_has_an_old_parameter(old: str) -> None:
    assert files().defining[tail(old)] == []
    assert files().defining[tail(PARAMETERS[old])]


@pytest.mark.parametrize("old", sorted(MODULES))
def test_no_module_and_no_import_has_an_old_name(old: str) -> None:
    path = ROOT / old.replace(".", "/")
    assert not path.with_suffix(".py").exists()
    assert not (path / "__init__.py").exists()
    assert files().importing[old] == []


@pytest.mark.parametrize("old", sorted(PUBLIC))
def test_nothing_imports_an_old_public_name(old: str) -> None:
    assert files().importing[old] == []


def test_the_news_list_each_public_name() -> None:
    news = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    news += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "newsfragments").glob("*.md"))
    names = PUBLIC | PARAMETERS
    assert [old for old, new in names.items() if f"`{old}`" not in news or f"`{new}`" not in news] == []
