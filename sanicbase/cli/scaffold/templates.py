"""The code templates. They are in English; catalogs translate their comments and messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from sanicbase.i18n import SOURCE, Language, languages, translation

__all__ = ["CONTEXT", "WIDTH", "language_of", "messages", "prose", "readme", "render", "source"]

WIDTH = 120
CONTEXT = "template"
"""The context of the templates' comments in the catalogs. Their placeholders have jinja2's syntax: `{{ name }}`."""

ROOT = files("sanicbase.cli") / "templates"

PROSE = re.compile(r'^ *"""(?P<doc>[^"\\\n]+)"""$|(?<=  )# (?P<comment>.+)$|^ *# (?P<line>.+)$', re.MULTILINE)
"""The texts for people in a template: docstrings and comments."""
SENTENCE = re.compile(r'\{\{ _\("([^"]+)"\) \}\}')
"""A text that generated code prints, in the language of its comments."""
MESSAGE = re.compile(r'raise InvalidCredentials\("([^"]+)"\)')
"""The texts for clients, which are looked up in the catalogs when a response is sent."""


def render(path: str, values: Mapping[str, Any]) -> str:
    """Render a template; its comments have the `language` of the values."""
    text = _environment(values["language"]).get_template(path).render(values)
    return "".join(map(wrap_line, text.splitlines(keepends=True))) if path.endswith(".py.j2") else text


@cache
def _environment(language: Language) -> Environment:
    def translated(path: str) -> str:
        return (
            source(path) if language == SOURCE else PROSE.sub(lambda match: _translate(match, language), source(path))
        )

    # The output is not HTML, so it is not escaped.
    environment = Environment(  # noqa: S701
        loader=FunctionLoader(translated),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["_"] = lambda text: translation(language).pgettext(CONTEXT, text)
    return environment


def wrap_line(line: str) -> str:
    """Wrap a line of code that is too long after substitution, like `ruff format`: inside its parentheses."""
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
    """The parts between commas at the outer level."""
    items, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _last_opened(line: str) -> int:
    """The position at which the parenthesis that closes last opens."""
    last = line.rindex(")")
    return next(
        position for position, character in enumerate(line) if character == "(" and _closing(line, position) == last
    )


def _closing(line: str, opened: int) -> int:
    depth = 0
    for position in range(opened, len(line)):
        depth += {"(": 1, ")": -1}.get(line[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"A bracket is left open in {line!r}.")


def source(path: str) -> str:
    """The source of a template in the package."""
    return (ROOT / path).read_text(encoding="utf-8")


def readme(language: Language) -> str:
    """The README template in that language, or else in English: it is translated as a whole."""
    path = f"project/README.{language}.md.j2"
    return path if (ROOT / path).is_file() else f"project/README.{SOURCE}.md.j2"


def prose() -> Iterator[tuple[str, str]]:
    """Every docstring, comment and printed text of the templates, with the template's path."""
    for path, text in _python():
        yield from ((path, _text(match)) for match in PROSE.finditer(text))
        yield from ((path, match[1]) for match in SENTENCE.finditer(text))


def messages() -> Iterator[tuple[str, str]]:
    """Every message that a generated service sends to clients, in their language, with the template's path."""
    return ((path, match[1]) for path, text in _python() for match in MESSAGE.finditer(text))


def _python() -> Iterator[tuple[str, str]]:
    """The templates of Python code, by path."""
    for folder in (entry for entry in ROOT.iterdir() if entry.is_dir()):
        yield from _python_in(folder, folder.name)


def _python_in(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _python_in(entry, f"{path}/{entry.name}")
        elif entry.name.endswith(".py.j2"):
            yield f"{path}/{entry.name}", entry.read_text(encoding="utf-8")


def language_of(code: str) -> Language:
    """The language of the comments in generated code: the one whose letters are most frequent."""
    letters = {character for character in code if character.isalpha() and not character.isascii()}
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
