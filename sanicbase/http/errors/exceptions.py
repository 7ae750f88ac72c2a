"""Exceptions for requests that are not valid, and the field errors in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import ValidationError
from sanic.exceptions import SanicException, Unauthorized

__all__ = [
    "CODES",
    "FieldError",
    "InvalidCredentials",
    "InvalidHeaders",
    "InvalidParameters",
    "TooLarge",
    "UnreadableBody",
    "UnsupportedContentType",
    "printable",
]

MAX_FIELD_ERRORS = 100  # listed for one request
MAX_PYDANTIC_ERRORS = 50_000  # pydantic can only list all of them
MAX_NAME_LENGTH = 50  # characters of a name that the client chose

CODES = {
    "account_invalid": "This is not an e-mail address.",
    "content_encoding": "Send the body without a Content-Encoding: compressed bodies are not accepted.",
    "content_type": "Send the body as {expected}.",
    "field_too_large": "A form field may have at most {limit} bytes.",
    "file_too_large": "The file may have at most {limit} bytes.",
    "file_type": "Send a file of one of these types: {expected}.",
    "file_unexpected": "This form has no file of that name.",
    "finite_number": "The number {number} is too large.",
    "form_charset": "Encode form fields in UTF-8.",
    "form_encoding": "The form is not valid UTF-8.",
    "form_headers_too_large": "A part of a form may have at most {limit} headers of {size} bytes.",
    "form_invalid": "The body is not a valid form of its Content-Type.",
    "form_too_large": "The form may have at most {limit} bytes.",
    "idempotency_key_in_use": "The first request with this key is still in progress. Try again later.",
    "idempotency_key_invalid": "The key must be a quoted string of at most {limit} visible ASCII characters.",
    "idempotency_key_missing": "Send an Idempotency-Key, such as a new UUID for each order or payment.",
    "idempotency_key_reused": "This key was already used for a different request. Use a new key for each request.",
    "idempotency_key_too_short": "A key must have at least {least} characters. Use a UUID.",
    "idempotency_outcome_unknown": "The first request with this key was interrupted, and may have been executed. "
    "Check its outcome before you send it with a new key.",
    "if_match_invalid": "Send entity tags in quotes, separated by commas, or *.",
    "invalid_nested": "A nested value is not valid.",
    "json_duplicate_key": "The key {key} is repeated in one object.",
    "json_encoding": "The body is not valid UTF-8.",
    "json_invalid": "The body is not valid JSON.",
    "json_too_deep": "The body is nested too deeply.",
    "json_too_many_items": "The body has more than {limit} items.",
    "lone_surrogate": "The text contains a lone surrogate.",
    "missing": "Field required",
    "nul_character": "The text must not contain a NUL character.",
    "number_too_long": "A number may have at most {limit} digits.",
    "password_common": "The password is one of the most common ones. Choose another.",
    "password_predictable": "The password is too easy to guess. Use several words, or more characters.",
    "password_wrong": "The password is wrong.",
    "repeated": "This parameter must not be repeated.",
    "too_many_errors": "There are {count} errors, too many to list.",
    "too_many_fields": "A form may have at most {limit} fields.",
    "too_many_files": "A form may have at most {limit} files.",
    "too_many_parameters": "There are more than {limit} parameters.",
}
"""Messages by code of field errors that pydantic does not have or whose text we change."""


@dataclass(frozen=True)
class FieldError:
    """One invalid value. `path` is its location ("body.title", "query.page").

    `code` is for programs ("string_too_long"), `message` for people; `context` contains the values in the message.
    """

    path: str
    code: str
    message: str
    context: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, code: str, **context: object) -> Self:
        """An error with a code of `CODES`, in English."""
        return cls(path, code, CODES[code].format(**context), context)

    def content(self) -> dict[str, str]:
        """The error as responses contain it: `path`, `code` and `message`."""
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
        """The errors that pydantic found in the body, the query, …; at most 100."""
        if (count := error.error_count()) > MAX_PYDANTIC_ERRORS:
            return cls([FieldError.of(where, "too_many_errors", count=count)])
        details = error.errors(include_url=False, include_input=False)[:MAX_FIELD_ERRORS]
        return cls([_field_error(detail, where) for detail in details])


class UnreadableBody(InvalidParameters):
    """The body does not match its content type: it is not UTF-8, JSON or a form. 400."""

    status_code = 400


class InvalidHeaders(InvalidParameters):
    """A header that may have only one value was sent twice. 400."""

    status_code = 400


class TooLarge(InvalidParameters):
    """A file or a form is larger than the view accepts (RFC 9110, 15.5.14). 413."""

    status_code = 413


class UnsupportedContentType(InvalidParameters):
    """The view does not accept bodies of this content type (RFC 9110, 15.5.16). 415."""

    status_code = 415


class InvalidCredentials(Unauthorized):
    """The credentials of a client are not valid: 401, with the reason in WWW-Authenticate (RFC 6750, 3).

    The message is English without quotes or backslashes, and is the key of its translations. `error` is a code of that
    RFC; it is omitted for a client that sent no credentials.
    """

    def __init__(self, message: str, *, scheme: str = "Bearer", error: str | None = "invalid_token") -> None:
        reason = f' error="{error}", error_description="{message}"' if error else ""
        super().__init__(message, headers={"WWW-Authenticate": f"{scheme}{reason}"})


def printable(text: object, length: int = MAX_NAME_LENGTH) -> str:
    """The beginning of a text that may come from a client, without lone surrogates, which JSON does not allow."""
    return str(text)[:length].encode(errors="replace").decode()


def _field_error(detail: Mapping[str, Any], where: str) -> FieldError:
    path = ".".join([where, *(printable(part) for part in detail["loc"])])
    return FieldError(path, detail["type"], detail["msg"], detail.get("ctx", {}))
