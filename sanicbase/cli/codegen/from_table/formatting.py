"""Formats lines of a class body like `ruff format`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from sanicbase.cli.scaffold.templates import WIDTH
from sanicbase.cli.table import width

__all__ = ["assignment", "entry", "literal", "sets"]

INDENT = "    "


def assignment(target: str, function: str, arguments: Mapping[str, str]) -> str:
    """`    target = function(name=value, …)`, wrapped if needed; a name such as `0` means a positional argument."""
    argument_list = [value if name.isdigit() else f"{name}={value}" for name, value in arguments.items()]
    line = f"{INDENT}{target} = {function}({', '.join(argument_list)})"
    if width(line) <= WIDTH:
        return line
    inside = f"{INDENT * 2}{', '.join(argument_list)}"
    if width(inside) > WIDTH:
        inside = "\n".join(line for argument in argument_list for line in _folded(argument, INDENT * 2))
    return f"{INDENT}{target} = {function}(\n{inside}\n{INDENT})"


def literal(text: str) -> str:
    """The code of a string, in double quotes unless that needs more backslashes."""
    inner = repr("'\"" + text)[len("'\\'\"") : -1].replace("\\'", "'")
    if text.count('"') > text.count("'"):
        return "'" + inner.replace("'", "\\'") + "'"
    return '"' + inner.replace('"', '\\"') + '"'


def sets(names: Sequence[Sequence[str]]) -> str:
    """The code of a tuple of tuples of strings."""
    inner = [f"({', '.join(map(literal, row))}{',' * (len(row) == 1)})" for row in names]
    return f"({', '.join(inner)}{',' * (len(inner) == 1)})"


def entry(option: str, value: str) -> list[str]:
    """The lines of an option of Meta, without indentation."""
    line = f"{option} = {value}"
    if width(line) + len(INDENT * 2) <= WIDTH:
        return [line]
    if not value.startswith("("):
        return [f"{option} = (", *_pieces(value, INDENT), ")"]
    return [f"{option} = (", *(f"{INDENT}{item}," for item in re.findall(r"\([^()]*\)", value[1:-1])), ")"]


def _folded(argument: str, indent: str) -> list[str]:
    """The lines of an argument; a string that is too long is split and parenthesized."""
    name, equals, value = argument.partition("=")
    if width(indent + argument) < WIDTH or not (equals and value[:1] in "'\""):
        return [f"{indent}{argument},"]
    return [f"{indent}{name}=(", *_pieces(value, indent + INDENT), f"{indent}),"]


def _pieces(value: str, indent: str) -> list[str]:
    """The code of a string split into several, one per line, after spaces where possible."""
    lines, quote = [""], value[0]
    for letter in re.findall(r"\\(?:x..|u.{4}|U.{8}|.)|[^\\]", value[1:-1]):
        if width(f"{INDENT * 3}{quote}{lines[-1]}{letter}{quote}") > WIDTH:
            begun, space, word = lines.pop().rpartition(" ")
            lines += [begun + space, word] if begun else [word, ""]
        lines[-1] += letter
    # Each part gets the quotes that fit it.
    return [f"{indent}{literal(ast.literal_eval(f'{quote}{line}{quote}'))}" for line in lines]
