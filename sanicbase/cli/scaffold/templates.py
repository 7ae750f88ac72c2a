"""The templates: code as it will be written, in English; the catalogs have the other languages of its comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from sanicbase.i18n import SOURCE, Language, languages, translation

__all__ = ["CONTEXT", "WIDTH", "language_of", "prose", "readme", "render", "source"]

WIDTH = 120
CONTEXT = "template"
"""The context of the templates' comments in the catalogs. Placeholders there are jinja2's: `{{ name }}`."""

ROOT = files("sanicbase.cli") / "templates"

PROSE = re.compile(r'^ *"""(?P<doc>[^"\\\n]+)"""$|(?<=  )# (?P<comment>.+)$|^ *# (?P<line>.+)$', re.MULTILINE)
"""What is said for people in a template: docstrings and comments."""


def render(path: str, values: Mapping[str, Any]) -> str:
    """The text that a template makes of the values; its comments are in the `language` among them."""
    text = _environment(values["language"]).get_template(path).render(values)
    return "".join(map(wrap_line, text.splitlines(keepends=True))) if path.endswith(".py.j2") else text


@cache
def _environment(language: Language) -> Environment:
    def translated(path: str) -> str:
        return (
            source(path) if language == SOURCE else PROSE.sub(lambda match: _translate(match, language), source(path))
        )

    # Nothing here is HTML, so there is nothing to escape.
    return Environment(  # noqa: S701
        loader=FunctionLoader(translated),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def wrap_line(line: str) -> str:
    """A line of code that names have made too long, broken as `ruff format` breaks it: inside of its brackets."""
    if len(line.rstrip()) <= WIDTH or '"""' in line or not line.rstrip().endswith((")", ":")) or "(" not in line:
        return line
    opened = line.index("(") if line.lstrip().startswith(("async def", "def")) else _last_opened(line)
    closed = _closing(line, opened)
    indent = line[: len(line) - len(line.lstrip())]
    inside = f"{indent}    {line[opened + 1 : closed]}\n"
    if len(inside) > WIDTH + 1:
        items = _items(inside.strip())
        inside = "".join(f"{indent}    {item},\n" for item in items) if len(items) > 1 else wrap_line(inside)
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
    return next(position for position, letter in enumerate(line) if letter == "(" and _closing(line, position) == last)


def _closing(line: str, opened: int) -> int:
    depth = 0
    for position in range(opened, len(line)):
        depth += {"(": 1, ")": -1}.get(line[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"A bracket is left open in {line!r}.")


def source(path: str) -> str:
    """A template as it stands in the package."""
    return (ROOT / path).read_text(encoding="utf-8")


def readme(language: Language) -> str:
    """The template of a project's README in that language, or else in English: it is a text as a whole."""
    path = f"project/README.{language}.md.j2"
    return path if (ROOT / path).is_file() else f"project/README.{SOURCE}.md.j2"


def prose() -> Iterator[tuple[str, str]]:
    """Every docstring and comment of the templates, with the template's path."""
    for folder in (entry for entry in ROOT.iterdir() if entry.is_dir()):
        yield from _prose(folder, folder.name)


def _prose(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _prose(entry, f"{path}/{entry.name}")
        elif entry.name.endswith(".py.j2"):
            for match in PROSE.finditer(entry.read_text(encoding="utf-8")):
                yield f"{path}/{entry.name}", _text(match)


def language_of(code: str) -> Language:
    """The language of the comments in code that was made from templates: whose letters it has most of."""
    letters = {letter for letter in code if letter.isalpha() and not letter.isascii()}
    return max(languages(), key=lambda language: len(letters & _letters(language)))


@cache
def _letters(language: Language) -> frozenset[str]:
    """The letters of a language's translations; none for English."""
    if language == SOURCE:
        return frozenset()
    catalog = translation(language)
    return frozenset("".join(catalog.pgettext(CONTEXT, text) for _, text in prose()))


def _translate(match: re.Match[str], language: Language) -> str:
    text = _text(match)
    return match[0].replace(text, translation(language).pgettext(CONTEXT, text))


def _text(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)
