"""Exceptions for requests that are not valid, and the field errors in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError
from sanic.exceptions import SanicException

__all__ = [
    "CODES",
    "FieldError",
    "InvalidHeaders",
    "InvalidParameters",
    "UnreadableBody",
    "UnsupportedContentType",
    "printable",
]

MAX_FIELD_ERRORS = 100  # of one request: nobody reads more
MAX_PYDANTIC_ERRORS = 50_000  # of which pydantic makes a list; it cannot list only some of them
MAX_NAME_LENGTH = 50  # characters of a name that a client made up

CODES = {
    "content_type": "Send the body as {expected}.",
    "field_too_large": "A form field may have at most {most} bytes.",
    "finite_number": "The number {number} is too large.",
    "form_charset": "Encode form fields in UTF-8.",
    "form_encoding": "The form is not valid UTF-8.",
    "form_headers_too_large": "A part of a form may have at most {most} headers of {size} bytes.",
    "form_invalid": "The body is not a valid form of its Content-Type.",
    "invalid_nested": "A nested value is not valid.",
    "json_duplicate_key": "The key {key} is repeated in one object.",
    "json_encoding": "The body is not valid UTF-8.",
    "json_invalid": "The body is not valid JSON.",
    "json_too_deep": "The body is nested too deeply.",
    "json_too_many_items": "The body has more than {most} items.",
    "lone_surrogate": "The text contains a lone surrogate.",
    "missing": "Field required",
    "nul_character": "The text must not contain a NUL character.",
    "number_too_long": "A number may have at most {most} digits.",
    "repeated": "This parameter must not be repeated.",
    "too_many_fields": "A form may have at most {most} fields.",
    "too_many_files": "A form may have at most {most} files.",
    "too_many_mistakes": "There are {count} errors, too many to list.",
    "too_many_parameters": "There are more than {most} parameters.",
}
"""The messages of the field errors that pydantic does not have, or words differently, by their codes."""


@dataclass(frozen=True)
class FieldError:
    """One invalid value. `path` is its place ("body.title", "query.page"), `code` is for programs ("string_too_long").

    `message` is for people; `context` has the values in it.
    """

    path: str
    code: str
    message: str
    context: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, code: str, **context: object) -> Self:
        """An error with one of our own codes, in English."""
        return cls(path, code, CODES[code].format(**context), context)

    def content(self) -> dict[str, str]:
        """The error as responses have it: `path`, `code` and `message`."""
        return {"path": self.path, "code": self.code, "message": self.message}


class InvalidParameters(SanicException):
    """The parameters of a request are not valid: 422, with a list of `{path, code, message}`."""

    status_code = 422
    quiet = True

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("The parameters are not valid.")
        self.errors = tuple(errors)

    @classmethod
    def of(cls, error: ValidationError, where: str) -> Self:
        """The errors that pydantic has found in the body, the query, …, a hundred at most."""
        if (count := error.error_count()) > MAX_PYDANTIC_ERRORS:
            return cls([FieldError.of(where, "too_many_mistakes", count=count)])
        details = error.errors(include_url=False, include_input=False)[:MAX_FIELD_ERRORS]
        return cls([_field_error(detail, where) for detail in details])


class UnreadableBody(InvalidParameters):
    """The body is not what its content type says: not UTF-8, not JSON, not a form. 400."""

    status_code = 400


class InvalidHeaders(InvalidParameters):
    """A header that has one value is sent twice. 400."""

    status_code = 400


class UnsupportedContentType(InvalidParameters):
    """The view does not take bodies of this content type (RFC 9110, 15.5.16). 415."""

    status_code = 415


def printable(text: object, length: int = MAX_NAME_LENGTH) -> str:
    """The beginning of a text that a client may have made up, without lone surrogates, which JSON does not have."""
    return str(text)[:length].encode(errors="replace").decode()


def _field_error(detail: Mapping[str, Any], where: str) -> FieldError:
    path = ".".join([where, *(printable(part) for part in detail["loc"])])
    return FieldError(path, detail["type"], detail["msg"], detail.get("ctx", {}))
