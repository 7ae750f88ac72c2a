"""Every code block of the pages is checked: Python by mypy, the rest by its parser, and both languages are one.

`tests/docs/test_running.py` runs whole guides. Tests of the packages run blocks of the guides on errors, migrations,
models, relations, testing and users, and the commands of the README and of the first service.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]

from sanicbase import Config
from sanicbase.cli.main import main
from tests.docs.blocks import FENCED, PAGES, ROOT, Block, blocks, text_of, twin
from tests.docs.context import CONTEXT, FILES

BLOCKS = [block for page in PAGES for block in blocks(page)]
# `...` stands for code that a page leaves out, a console may await, and a page may show a function of two files.
OPTIONS = [
    "--no-error-summary",
    "--allow-redefinition",
    "--disable-error-code=empty-body",
    "--disable-error-code=no-redef",
    "--disable-error-code=top-level-await",
]
HAN = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")

Line = tuple[str, str]
"""A line of a module, and its place in a page."""


def parametrized(*languages: str) -> pytest.MarkDecorator:
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=[block.place for block in chosen])


def parse_ini(text: str) -> None:
    configparser.ConfigParser().read_string(text)


PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "ini": parse_ini,
    "yaml": yaml.safe_load,
}


@parametrized(*PARSERS)
def test_data_can_be_read(block: Block) -> None:
    PARSERS[block.language](block.code)


def test_every_language_is_known() -> None:
    known = {*PARSERS, "python", "sh", "sql", ""}  # sql is run by test_grants.py and tests/db/test_pgbouncer.py
    assert [block.place for block in BLOCKS if block.language not in known] == []


@parametrized("sh")
def test_a_shell_can_read_it(block: Block) -> None:
    subprocess.run(["sh", "-n"], input=block.code, text=True, check=True)


@parametrized("sh")
def test_commands_have_these_options(block: Block) -> None:
    for line in re.split(r"\n|&&|\$\(|\|", block.code.replace("\\\n", " ")):
        _, called, typed = line.partition("sanicGuider ")
        if called:
            parse_command(main, shlex.split(typed, comments=True))


def parse_command(command: click.Command, args: list[str]) -> None:
    """Read the words as click does, without calling anything."""
    context = click.Context(command)
    is_group = isinstance(command, click.Group)
    context.allow_interspersed_args = command.context_settings.get("allow_interspersed_args", not is_group)
    context.ignore_unknown_options = command.context_settings.get("ignore_unknown_options", False)
    _, rest, _ = command.make_parser(context).parse_args(args)
    if isinstance(command, click.Group) and rest:
        _, below, rest = command.resolve_command(context, rest)
        assert below is not None
        return parse_command(below, rest)
    assert rest == []
    return None


@parametrized("sh", "ini", "")
def test_variables_are_settings(block: Block) -> None:
    names = re.findall(r"\b(?:XI_TEST|SHOP|OFFICE|CONDUIT)_([A-Z_]+)=", block.code)
    assert [name for name in names if name not in Config.model_fields] == []


@pytest.fixture(scope="module")
def type_errors(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What mypy says of the Python of all pages, each message with its place in the page."""
    folder = tmp_path_factory.mktemp("pages")
    modules = dict(page_modules())
    for path, lines in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("".join(f"{line}\n" for line, _ in lines), encoding="utf-8")
    files = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache' / 'pages'}", "."]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *OPTIONS, *files],
        cwd=folder,  # the cache keeps messages with their paths, which are the same in each run from here
        env={**os.environ, "MYPYPATH": f"{folder}:{ROOT}:{ROOT / 'examples' / 'foreign_contract'}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    return [at_its_place(message, modules) for message in result.stdout.splitlines()]


def at_its_place(message: str, modules: dict[str, list[Line]]) -> str:
    match = re.fullmatch(r"(.+?):(\d+): (.*)", message)
    return f"{modules[match[1]][int(match[2]) - 1][1]}: {match[3]}" if match and match[1] in modules else message


def page_modules() -> Iterator[tuple[str, list[Line]]]:
    """A module for each page, and one for each file of the reader's project that a page shows."""
    for path, text in FILES.items():
        yield path, [(line, path) for line in text.splitlines()]
    for page in PAGES:
        lines = [(line, f"context of {page}") for line in CONTEXT.get(Path(page).stem, "").splitlines()]
        for block in blocks(page):
            if block.language != "python" or block.path.startswith("examples/"):
                continue  # a file of an example is the example's, which tests/examples/test_guide.py sees to
            if is_module(block):
                yield block.path, numbered(block)
            else:
                lines += awaiting(block)
        yield f"page_{Path(page).stem.replace('-', '_').lower()}.py", lines


def is_module(block: Block) -> bool:
    """Whether a block is a whole file: a launch file, or one of the reader's service."""
    path = Path(block.path)
    return bool(block.path) and (len(path.parts) == 1 or not (ROOT / path.parts[0]).exists())


def numbered(block: Block) -> list[Line]:
    return [(line, f"{block.page}:{number}") for number, line in enumerate(block.code.splitlines(), block.line)]


def awaiting(block: Block) -> Iterator[Line]:
    """The lines of a block; `async with` and `async for` stand in a function, where a module may have them."""
    lines = numbered(block)
    end = 0
    for statement in ast.parse(block.code).body:
        if not isinstance(statement, ast.AsyncFunctionDef | ast.ClassDef) and any(
            isinstance(node, ast.AsyncWith | ast.AsyncFor) for node in ast.walk(statement)
        ):
            first, last = statement.lineno - 1, statement.end_lineno
            yield from lines[end:first]
            yield f"async def _{block.line}_{first}() -> None:", lines[first][1]
            yield from ((f"    {line}", place) for line, place in lines[first:last])
            end = last or end
    yield from lines[end:]


def test_python_has_no_type_errors(type_errors: list[str]) -> None:
    assert type_errors == []


def test_the_files_of_the_context_are_used() -> None:
    assert [name for name in CONTEXT if name not in {Path(page).stem for page in PAGES}] == []


PROSE = "…"
COMMENT = {
    "sh": r"(^|\s+)#.*",
    "toml": r"\s*#.*",
    "ini": r"^[;#].*",
    "yaml": r"(?:^|\s)#.*",
    "sql": r"--.*",
    "": r"(?<=\S)\s{2,}.*",  # the explanations beside a tree of files
    "json": r"(?!)",
}


def without_prose(block: Block) -> tuple[str, object]:
    """The code without comments, docstrings and texts for people, which are in the page's language."""
    if block.language == "python":
        return block.language, [ast.dump(statement) for statement in Prose().visit(ast.parse(block.code)).body]
    return block.language, re.sub(COMMENT[block.language], "", block.code, flags=re.MULTILINE)


class Prose(ast.NodeTransformer):
    """Takes docstrings away, and makes one text of those in Chinese."""

    def visit_Expr(self, node: ast.Expr) -> Any:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(PROSE) if isinstance(node.value, str) and HAN.search(node.value) else node


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_code(page: str) -> None:
    assert [without_prose(block) for block in blocks(page)] == [without_prose(block) for block in blocks(twin(page))]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("mark", [r"^#+ ", r"^\|"], ids=["headings", "tables"])
def test_both_languages_have_the_same_headings_and_rows(page: str, mark: str) -> None:
    english, chinese = (FENCED.sub("", text_of(name)) for name in (page, twin(page)))
    assert len(re.findall(mark, english, re.MULTILINE)) == len(re.findall(mark, chinese, re.MULTILINE))
