"""The page on performance: its commands, scenarios, contenders and variables are those of the benchmarks."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from benchmarks import compare, idle_connections, profile, slow_clients
from benchmarks.harness import stores
from benchmarks.harness.contenders import CONTENDERS
from benchmarks.harness.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PARSERS = {
    "compare": compare.arguments(),
    "profile": profile.arguments(),
    "idle_connections": idle_connections.arguments(),
    "slow_clients": slow_clients.arguments(),
}
COMMAND = re.compile(r"^python -m benchmarks\.(\w+)(.*)$", re.MULTILINE)

pytestmark = pytest.mark.parametrize("language", ["en", "zh"])


def page(language: str) -> str:
    return (ROOT / "docs" / language / "performance.md").read_text(encoding="utf-8")


def section(language: str, number: int) -> str:
    return page(language).split("\n## ")[number]


def first_cells(text: str) -> list[str]:
    """The names in the first column of the section's table."""
    cells = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_commands_can_be_parsed(language: str) -> None:
    commands = COMMAND.findall(page(language))
    assert {name for name, _ in commands} == set(PARSERS)
    for name, options in commands:
        if "--help" not in options:
            parsed = PARSERS[name].parse_args(shlex.split(options))
            names_are_known(parsed)


def names_are_known(parsed: argparse.Namespace) -> None:
    """`chosen` ends the process for a name that it does not know."""
    options = vars(parsed)
    compare.chosen(SCENARIOS, options.get("scenarios", "") or options.get("scenario", ""))
    compare.chosen(CONTENDERS, options.get("contenders", "") or options.get("contender", ""))


def test_options_are_listed(language: str) -> None:
    options = {option for action in PARSERS["compare"]._actions for option in action.option_strings}
    assert set(first_cells(section(language, 1))) == options - {"-h", "--help"}


def test_variables_have_these_defaults(language: str) -> None:
    variables = dict(re.findall(r"^export (\w+)=(\S+)$", page(language), re.MULTILINE))
    assert variables == {"BENCH_DB_URL": stores.DEFAULT_DB_URL, "BENCH_REDIS_URL": stores.DEFAULT_REDIS_URL}


def test_scenarios_are_listed(language: str) -> None:
    assert first_cells(section(language, 4)) == [scenario.name for scenario in SCENARIOS]


def test_contenders_are_listed(language: str) -> None:
    assert first_cells(section(language, 5)) == [contender.name for contender in CONTENDERS]
