"""The error codes written down for others: Markdown for people, JSON for programs, TypeScript for clients."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from sanicbase.codes.code import ErrorCode, error_codes
from sanicbase.i18n import languages, translation

__all__ = ["FORMATS", "json_text", "listed", "load_codes", "markdown", "typescript"]


def load_codes(service: str) -> tuple[ErrorCode, ...]:
    """The codes that a service can answer with, after every module of its package was imported.

    An enumeration may be in any of them, and in what they import. Raises ImportError.
    """
    package = importlib.import_module(service)
    for found in pkgutil.walk_packages(package.__path__, f"{service}.", onerror=_unreadable):
        importlib.import_module(found.name)
    return error_codes()


def markdown(codes: Iterable[ErrorCode]) -> str:
    """A table for each enumeration."""
    parts = []
    for name, members in _by_enumeration(codes):
        rows = "".join(f"| {each.code} | {each.status} | {each.name} | {_cell(each)} |\n" for each in members)
        names = " | ".join(translation(language).name for language in languages())
        head = f"| code | HTTP | name | {names} |\n|---|---|---|{'---|' * len(languages())}\n"
        parts.append(f"## {name}\n\n{head}{rows}")
    return "# Error codes\n\n" + "\n".join(parts)


def listed(codes: Iterable[ErrorCode]) -> list[dict[str, str | int]]:
    """Each as a dictionary of what JSON has: enumeration, name, code, status, and the message by language.

    They are a document's `x-error-codes`.
    """
    return [{"enumeration": type(each).__name__, "name": each.name, **_seen(each)} for each in codes]


def json_text(codes: Iterable[ErrorCode]) -> str:
    """What `listed` has, as a text."""
    return json.dumps(listed(codes), ensure_ascii=False, indent=2) + "\n"


def typescript(codes: Iterable[ErrorCode]) -> str:
    """A constant and a type of its numbers for each enumeration; no code runs but the constants."""
    parts = ["/* eslint-disable */\n// The error codes of a service, as its clients see them.\n"]
    for name, members in _by_enumeration(codes):
        rows = "".join(f"  {each.name}: {_literal(each)},\n" for each in members)
        parts.append(
            f"export const {name} = {{\n{rows}}} as const;\n"
            f'export type {name} = (typeof {name})[keyof typeof {name}]["code"];\n'
        )
    return "\n".join(parts)


FORMATS: Mapping[str, Callable[[Iterable[ErrorCode]], str]] = {"md": markdown, "json": json_text, "ts": typescript}
"""What `sanicGuider errors --format` takes."""


def _by_enumeration(codes: Iterable[ErrorCode]) -> list[tuple[str, list[ErrorCode]]]:
    """Sanicbase's own first."""
    ordered = sorted(codes, key=lambda each: (_room(each) != "sanicbase", _place(each), each.code))
    return [(place[1], list(members)) for place, members in groupby(ordered, _place)]


def _seen(code: ErrorCode) -> dict[str, str | int]:
    """What a client sees of it."""
    return {"code": code.code, "status": code.status, **_messages(code)}


def _messages(code: ErrorCode) -> dict[str, str]:
    return {language: code.message.text(language) for language in languages()}


def _literal(code: ErrorCode) -> str:
    """JSON is TypeScript, but for the quotes around names, which linters do not like."""
    fields = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in _seen(code).items())
    return f"{{ {', '.join(fields)} }}"


def _cell(code: ErrorCode) -> str:
    return " | ".join(" ".join(text.split()).replace("|", "\\|") for text in _messages(code).values())


def _place(code: ErrorCode) -> tuple[str, str]:
    return type(code).__module__, type(code).__name__


def _room(code: ErrorCode) -> str:
    return type(code).__module__.partition(".")[0]


def _unreadable(name: str) -> None:
    """walk_packages hides every error of a subpackage's import but when it is told not to."""
    raise ImportError(f"{name} cannot be imported.")
