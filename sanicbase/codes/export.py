"""Exports error codes: as Markdown for people, JSON for programs, and TypeScript for clients."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from sanicbase.codes.code import ErrorCode, error_codes
from sanicbase.i18n import languages, translation

__all__ = ["FORMATS", "code_list", "json_text", "load_codes", "markdown", "typescript"]


def load_codes(service: str) -> tuple[ErrorCode, ...]:
    """The codes that a service can respond with, after all modules of its package are imported.

    An enumeration may be in any of them, or in a module that they import. Raises ImportError.
    """
    package = importlib.import_module(service)
    for module_info in pkgutil.walk_packages(package.__path__, f"{service}.", onerror=_unreadable):
        importlib.import_module(module_info.name)
    return error_codes()


def markdown(codes: Iterable[ErrorCode]) -> str:
    """A table for each enumeration."""
    parts = []
    for name, members in _by_enumeration(codes):
        rows = "".join(f"| {code.code} | {code.status} | {code.name} | {_cell(code)} |\n" for code in members)
        names = " | ".join(translation(language).name for language in languages())
        head = f"| code | HTTP | name | {names} |\n|---|---|---|{'---|' * len(languages())}\n"
        parts.append(f"## {name}\n\n{head}{rows}")
    return "# Error codes\n\n" + "\n".join(parts)


def code_list(codes: Iterable[ErrorCode]) -> list[dict[str, str | int]]:
    """Each code as a dictionary for JSON: enumeration, name, code, status, and the message by language.

    The OpenAPI document contains them as `x-error-codes`.
    """
    return [{"enumeration": type(code).__name__, "name": code.name, **_code_fields(code)} for code in codes]


def json_text(codes: Iterable[ErrorCode]) -> str:
    """The list of `code_list` as JSON."""
    return json.dumps(code_list(codes), ensure_ascii=False, indent=2) + "\n"


def typescript(codes: Iterable[ErrorCode]) -> str:
    """A constant and a type of its numbers for each enumeration; the constants are the only code."""
    parts = ["/* eslint-disable */\n// The error codes of a service, as its clients see them.\n"]
    for name, members in _by_enumeration(codes):
        rows = "".join(f"  {code.name}: {_literal(code)},\n" for code in members)
        parts.append(
            f"export const {name} = {{\n{rows}}} as const;\n"
            f'export type {name} = (typeof {name})[keyof typeof {name}]["code"];\n'
        )
    return "\n".join(parts)


FORMATS: Mapping[str, Callable[[Iterable[ErrorCode]], str]] = {"md": markdown, "json": json_text, "ts": typescript}
"""The values of `sanicGuider errors --format`."""


def _by_enumeration(codes: Iterable[ErrorCode]) -> list[tuple[str, list[ErrorCode]]]:
    """Grouped by enumeration; those of sanicbase come first."""
    ordered = sorted(codes, key=lambda code: (_origin(code) != "sanicbase", _source_location(code), code.code))
    return [(place[1], list(members)) for place, members in groupby(ordered, _source_location)]


def _code_fields(code: ErrorCode) -> dict[str, str | int]:
    """The fields that clients see."""
    return {"code": code.code, "status": code.status, **_messages(code)}


def _messages(code: ErrorCode) -> dict[str, str]:
    return {language: code.message.text(language) for language in languages()}


def _literal(code: ErrorCode) -> str:
    """A TypeScript literal: JSON without the quotes around names, which linters reject."""
    fields = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in _code_fields(code).items())
    return f"{{ {', '.join(fields)} }}"


def _cell(code: ErrorCode) -> str:
    return " | ".join(" ".join(text.split()).replace("|", "\\|") for text in _messages(code).values())


def _source_location(code: ErrorCode) -> tuple[str, str]:
    return type(code).__module__, type(code).__name__


def _origin(code: ErrorCode) -> str:
    return type(code).__module__.partition(".")[0]


def _unreadable(name: str) -> None:
    """Raise import errors of subpackages, which walk_packages otherwise hides."""
    raise ImportError(f"{name} cannot be imported.")
