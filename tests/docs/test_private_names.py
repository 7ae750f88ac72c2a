"""Private names of dependencies that sanicbase touches are in the table of docs/design.md, and it has no others."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import sanicbase
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "sanicbase").rglob("*.py"))
PRIVATE = re.compile(r"_[A-Za-z]\w*")
DUNDERS = {"__pydantic_core_schema__", "__pydantic_fields__", "__pydantic_validator__", "__pydantic_serializer__"}
PYTHONS = {"_asdict", "_replace", "_fields", "_exit", "_value_", "_abc_impl", "_is_protocol", "_HANDLER"}
ACCESS = {"getattr", "setattr", "hasattr", "delattr"}
STANDARD = sys.stdlib_module_names | {"sanicbase", "builtins"}


def is_private(name: str) -> bool:
    return name in DUNDERS or (PRIVATE.fullmatch(name) is not None and name not in PYTHONS)


def table() -> str:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    return text.partition("## What is touched in private")[2].partition("\n## ")[0]


def named() -> set[str]:
    """The private names in the table's column of them."""
    rows = [line.split("|")[2] for line in table().splitlines() if line.startswith("| ")]
    words = {word for row in rows for code in re.findall(r"`([^`]+)`", row) for word in re.findall(r"\w+", code)}
    return {word for word in words if is_private(word)}


def defined(tree: ast.AST) -> Iterator[str]:
    """The names that a module of sanicbase gives itself."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name):
                yield name


def touched(tree: ast.AST) -> Iterator[str]:
    """The attributes that a module reads, writes or imports, by name or as the text of `getattr` and the like."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.ImportFrom(names=names, level=0, module=str(module)) if not module.startswith("sanicbase"):
                yield from (alias.name for alias in names)
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"), args=[_, ast.Constant(str(name)), *_]
            ):
                yield name


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(sanicbase.__path__, "sanicbase."):
        if not info.name.endswith("__main__") and ".templates" not in info.name:
            yield importlib.import_module(info.name)


def overridden(module: ModuleType) -> Iterator[str]:
    """The private names of others' classes that a class of this module defines anew."""
    for cls in vars(module).values():
        if isinstance(cls, type) and cls.__module__ == module.__name__:
            others = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in STANDARD]
            yield from (name for name in vars(cls) if name not in DUNDERS for base in others if name in vars(base))


def used() -> dict[str, set[str]]:
    """Each private name of a dependency, and the modules that touch it."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES if "templates" not in path.parts}
    defined_names = {name for tree in trees.values() for name in defined(tree)}
    touching: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for name in set(touched(tree)) - defined_names:
            if is_private(name):
                touching.setdefault(name, set()).add(str(path.relative_to(ROOT / "sanicbase")))
    for module in modules():
        for name in filter(is_private, overridden(module)):
            touching.setdefault(name, set()).add(module.__name__)
    return touching


def test_the_table_has_each_private_name_that_is_touched() -> None:
    listed = named()
    assert {name: where for name, where in used().items() if name not in listed} == {}


def test_the_table_has_no_name_that_is_not_touched() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    assert {name for name in named() if not re.search(rf"\b{name}\b", source)} == set()


@pytest.mark.parametrize("row", [line for line in table().splitlines() if line.startswith("| ")][2:])
def test_each_row_names_existing_modules_and_tests(row: str) -> None:
    """The modules of sanicbase, and the tests that notice a change."""
    _, _, _, where, tests, _ = row.split("|")
    for path in re.findall(r"`([^`]+)`", where):
        assert (ROOT / "sanicbase" / path).exists(), path
    for test in re.findall(r"`([^`]+)`", tests):
        if test.endswith(".py"):
            assert (ROOT / test).exists(), test
        else:
            assert is_a_test(test), test


def is_a_test(name: str) -> bool:
    return any(f"def {name}(" in path.read_text(encoding="utf-8") for path in TESTS)


TESTS = sorted(Path(ROOT / "tests").rglob("test_*.py"))
