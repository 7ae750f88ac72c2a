"""What a client sent that cannot be taken: each mistake with its place, its kind and what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError
from sanic.exceptions import SanicException

__all__ = ["CODES", "InvalidParameters", "Mistake", "UnreadableBody", "UnsupportedContentType", "printable"]

MAX_MISTAKES = 100  # of one request: nobody reads more
MOST_ERRORS = 50_000  # that pydantic makes a list of, which it can do of all of them only
SHOWN = 50  # characters of a name that a client made up

CODES = {
    "content_type": "Send the body as {expected}.",
    "field_too_large": "A field of a form has {most} bytes at most.",
    "finite_number": "The number {number} is too large for any type.",
    "form_charset": "Send the fields of a form in UTF-8.",
    "form_encoding": "The form is not UTF-8.",
    "form_headers_too_large": "A part of a form has {most} headers of {size} bytes at most.",
    "form_invalid": "The body is no form of the kind that Content-Type names.",
    "invalid_nested": "A value in here does not fit its type.",
    "json_duplicate_key": "The key {key} stands twice in one object.",
    "json_encoding": "The body is not UTF-8.",
    "json_invalid": "The body is not JSON.",
    "json_too_deep": "The body is nested too deeply.",
    "json_too_many_items": "The body has more than {most} items.",
    "lone_surrogate": "A text holds half of a character.",
    "missing": "Field required",
    "nul_character": "A text here has no NUL character.",
    "number_too_long": "A number has {most} digits at most.",
    "repeated": "Give this parameter once.",
    "too_many_fields": "A form has {most} fields at most.",
    "too_many_files": "A form has {most} files at most.",
    "too_many_mistakes": "There are {count} mistakes, too many to list.",
    "too_many_parameters": "There are more than {most} parameters.",
}
"""The kinds of mistakes that pydantic does not know, or knows otherwise; in braces the names of their context."""


@dataclass(frozen=True)
class Mistake:
    """One mistake. `path` is its place ("body.title", "query.page"), `code` its kind for programs ("string_too_long").

    `message` is English; `context` has the values that a message of the same kind in another language needs.
    """

    path: str
    code: str
    message: str
    context: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, code: str, **context: object) -> Self:
        """A mistake of one of our own kinds."""
        return cls(path, code, CODES[code].format(**context), context)


class InvalidParameters(SanicException):
    """What the client sent does not fit the view's parameters: 422, with a list of `{path, code, message}`."""

    status_code = 422
    quiet = True

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("The parameters are not valid.")
        self.mistakes = tuple(mistakes)

    @classmethod
    def of(cls, error: ValidationError, where: str) -> Self:
        """What pydantic found in the body, the query, …, a hundred mistakes at most."""
        if (count := error.error_count()) > MOST_ERRORS:
            return cls([Mistake.of(where, "too_many_mistakes", count=count)])
        found = error.errors(include_url=False, include_input=False)[:MAX_MISTAKES]
        return cls([_mistake(each, where) for each in found])


class UnreadableBody(InvalidParameters):
    """The body is not even what it says it is: no UTF-8, no JSON, no form. 400."""

    status_code = 400


class UnsupportedContentType(InvalidParameters):
    """The body is of another kind than the view takes (RFC 9110, 15.5.16). 415."""

    status_code = 415


def printable(text: object) -> str:
    """The beginning of something that a client made up, fit to be sent back."""
    return str(text)[:SHOWN].encode(errors="replace").decode()


def _mistake(found: Mapping[str, Any], where: str) -> Mistake:
    path = ".".join([where, *(printable(part) for part in found["loc"])])
    return Mistake(path, found["type"], found["msg"], found.get("ctx", {}))
