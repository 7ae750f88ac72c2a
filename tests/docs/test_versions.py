"""The page of versions says what the package declares, and doctor what the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from sanicbase.cli.checks.machine import check_python

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHON = "Programming Language :: Python :: "


def table(language: str) -> dict[str, list[list[str]]]:
    """The versions in each cell of a row, by the name in its first."""
    text = (ROOT / "docs" / language / "versions.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {name: [re.findall(r"\d+(?:\.\d+)?", cell) for cell in cells] for name, *cells in rows[2:]}


def pythons() -> list[str]:
    tested, expected = table("en")["Python"]
    return [*tested, *expected]


def test_both_languages_have_the_same_table() -> None:
    assert table("en") == table("zh")
    assert {*table("en")} == {"Python", "SQLite", "PostgreSQL", "MariaDB", "MySQL", "Redis", "Valkey"}
    assert table("en")["MySQL"][0] == [], "no test has run with it"


def test_the_classifiers_are_the_pythons_of_the_table() -> None:
    assert [
        classifier.removeprefix(PYTHON) for classifier in PROJECT["classifiers"] if classifier.startswith(PYTHON)
    ] == pythons()


def test_an_installer_takes_every_python_from_the_oldest_of_the_table_on() -> None:
    wanted = SpecifierSet(PROJECT["requires-python"])
    oldest = min(pythons(), key=Version)
    assert [version for version in pythons() if not wanted.contains(version)] == []
    assert {specifier.operator for specifier in wanted} == {">="}, "an upper cap refuses users for no reason"
    assert str(wanted) == f">={oldest}"


@pytest.mark.parametrize("version", pythons())
def test_doctor_has_nothing_against_a_python_of_the_table(version: str) -> None:
    major, minor = map(int, version.split("."))
    assert list(check_python((major, minor))) == []


def test_a_generated_project_takes_the_same_pythons() -> None:
    template = ROOT / "sanicbase" / "cli" / "templates" / "project" / "pyproject.toml.j2"
    assert f'requires-python = "{PROJECT["requires-python"]}"' in template.read_text(encoding="utf-8").splitlines()
