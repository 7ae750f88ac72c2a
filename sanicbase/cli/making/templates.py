"""The templates: code as it will be written, in English; a catalogue has the Chinese of its comments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from sanicbase.terminal import Language

__all__ = ["PROSE", "WIDTH", "catalogue", "render", "source"]

WIDTH = 120

ROOT = files("sanicbase.cli") / "templates"

PROSE = re.compile(r'^ *"""(?P<doc>[^"\\\n]+)"""$|(?<=  )# (?P<comment>.+)$|^ *# (?P<line>.+)$', re.MULTILINE)
"""What is said for people in a template: docstrings and comments."""


def render(path: str, values: Mapping[str, Any]) -> str:
    """The text that a template makes of the values; its comments are in the `language` among them."""
    made = _environment(values["language"]).get_template(path).render(values)
    return "".join(map(folded, made.splitlines(keepends=True))) if path.endswith(".py.j2") else made


@cache
def _environment(language: Language) -> Environment:
    def told(path: str) -> str:
        return PROSE.sub(_chinese, source(path)) if language == "zh" else source(path)

    # Nothing here is HTML, so there is nothing to escape.
    return Environment(  # noqa: S701
        loader=FunctionLoader(told),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def folded(line: str) -> str:
    """A line of code that names have made too long, broken as `ruff format` breaks it: inside of its brackets."""
    if len(line.rstrip()) <= WIDTH or '"""' in line or not line.rstrip().endswith((")", ":")) or "(" not in line:
        return line
    opened = line.index("(") if line.lstrip().startswith(("async def", "def")) else _last_opened(line)
    closed = _closing(line, opened)
    indent = line[: len(line) - len(line.lstrip())]
    inside = f"{indent}    {line[opened + 1 : closed]}\n"
    if len(inside) > WIDTH + 1:
        items = _items(inside.strip())
        inside = "".join(f"{indent}    {item},\n" for item in items) if len(items) > 1 else folded(inside)
    return f"{line[: opened + 1]}\n{inside}{indent}{line[closed:]}"


def _items(text: str) -> list[str]:
    """What stands between the commas that are in no brackets of their own."""
    items, depth = [""], 0
    for letter in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]


def _last_opened(line: str) -> int:
    """Where the bracket opens that closes last."""
    last = line.rindex(")")
    return next(place for place, letter in enumerate(line) if letter == "(" and _closing(line, place) == last)


def _closing(line: str, opened: int) -> int:
    depth = 0
    for place in range(opened, len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"A bracket is left open in {line!r}.")


def source(path: str) -> str:
    """A template as it stands in the package."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def catalogue() -> dict[str, str]:
    """The Chinese of every docstring and comment of the templates."""
    return tomllib.loads(source("chinese.toml"))


def _chinese(found: re.Match[str]) -> str:
    text = next(group for group in found.groups() if group)
    return found[0].replace(text, catalogue().get(text, text))
