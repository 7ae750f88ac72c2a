"""A JSON body, validated from its bytes, and more strictly than parsers do by default.

Parsers accept duplicate keys, of which they use the last, `NaN`, and numbers that become infinite (RFC 8259 allows
this), so two parsers may read one document differently. Such a body is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, NoReturn

import orjson
from jiter import from_json
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from sanicbase.http.body.content_type import check_content_type
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters, UnreadableBody, printable
from sanicbase.http.parameters.params import REQUIRED
from sanicbase.http.request import Request
from sanicbase.http.validation.bounded_type import BoundedType

__all__ = ["JsonBody", "check_json"]

SAFE_DIGITS = 200  # with an exponent of two digits they are below 1e300; the largest float is 1.8e308
OF_NUMBERS = bytes.maketrans(b"123456789E", b"000000000e")
EXPECTED = ("application/json",)
ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
COLLECTIONS = (list, tuple, set, frozenset, deque)


@dataclass(frozen=True)
class JsonBody:
    """The `body` of a view: its type, and its value when the client sent none."""

    type: BoundedType
    default: Any = REQUIRED

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the argument `body`. Raises InvalidParameters, UnsupportedContentType and UnreadableBody.

        Validation is strict: `"1"` is not a number and `true` is not 1. Dates, UUIDs and other types that JSON lacks
        are strings.
        """
        body = request.body
        if not body:
            if self.default is REQUIRED:
                raise InvalidParameters([FieldError.of("body", "missing")])
            arguments["body"] = self.default
            return
        check_content_type(request, EXPECTED)
        items = self.type.check_items(body, request.app.ctx.config.JSON_MAX_ITEMS)
        check_json(body)
        try:
            value = self.type.validate_json(body, items)
        except ValidationError as exc:
            raise _invalid(exc) from None
        if _may_have_nul(body) and _has_nul(value):
            raise InvalidParameters([FieldError.of("body", "nul_character")])
        arguments["body"] = value


def check_json(body: bytes) -> None:
    """Refuse what parsers accept: a repeated key, and a number that no type can hold."""
    if not _is_canonical(body) and (error := _parse_error(body)) is not None:
        _raise_for(body, error)


def _is_canonical(body: bytes) -> bool:
    """Whether a body is written as by orjson, browsers and most clients: without spaces.

    It then has no repeated key, because orjson keeps only one of them, and no NaN or infinite number, which orjson does
    not accept. This takes half the time of a parser that checks for repeated keys.
    """
    if b'": ' in body:  # as Python's json writes it; detected at the first key
        return False
    try:
        return orjson.dumps(orjson.loads(body)) == body
    except (ValueError, TypeError):  # invalid, or too deep to be serialized
        return False


def _parse_error(body: bytes) -> str | None:
    """The error that pydantic's own parser finds, if any. It is fast, but does not name the place."""
    try:
        from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as exc:
        return str(exc)
    return "a number may be infinite" if _may_be_infinite(body) else None


def _may_be_infinite(body: bytes) -> bool:
    """Whether a body has a number with a large exponent or many digits. A regular expression would take ten times as
    long."""
    numbers = body.translate(OF_NUMBERS)
    return b"0e000" in numbers or b"0e+000" in numbers or b"0" * SAFE_DIGITS in numbers


def _raise_for(body: bytes, error: str) -> None:
    """Parse a body with an error again, slowly, and raise InvalidParameters or UnreadableBody with the details."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise UnreadableBody([FieldError.of("body", "json_encoding")]) from None
    too_deep = InvalidParameters([FieldError.of("body", "json_too_deep")])
    if "recursion" in error:  # at 200 levels; Python's own limit depends on its version
        raise too_deep
    try:
        _decoder.decode(text)
    except RecursionError:
        raise too_deep from None
    except ValueError:
        raise UnreadableBody([FieldError.of("body", "json_invalid")]) from None


def _may_have_nul(body: bytes) -> bool:
    """Whether a key or a value of a JSON document may contain NUL, which no database accepts."""
    return rb"\u0000" in body and ESCAPED_NUL.search(body) is not None


def _has_nul(value: object) -> bool:
    """Whether a validated body has a text with NUL: at any depth of models and collections, keys included.

    Texts that the models ignore may contain it.
    """
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, SecretStr):
            part = part.get_secret_value()
        if isinstance(part, str):
            if "\0" in part:
                return True
        else:
            pending.extend(_parts(part))
    return False


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, COLLECTIONS):
        yield from value
    elif isinstance(value, BaseModel):
        yield from vars(value).values()
        yield value.__pydantic_extra__
    elif is_dataclass(value):
        yield from vars(value).values()


def _invalid(error: ValidationError) -> InvalidParameters:
    invalid = InvalidParameters.of(error, "body")
    first = invalid.errors[0]
    if (first.path, first.code) != ("body", "json_invalid"):
        return invalid
    if "recursion" in first.message:  # pydantic's parser follows 200 levels
        return InvalidParameters([FieldError.of("body", "json_too_deep")])
    return UnreadableBody([FieldError.of("body", "json_invalid")])


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidParameters([FieldError.of("body", "json_duplicate_key", key=repr(printable(key)))])
            seen.add(key)


def _check_finite(text: str) -> None:
    if math.isinf(float(text)):
        raise InvalidParameters([FieldError.of("body", "finite_number", number=printable(text))])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the like, which are not JSON


def _skip_integer(text: str) -> None:
    """Its type limits its size."""


_decoder = json.JSONDecoder(
    object_pairs_hook=_check_keys,
    parse_float=_check_finite,
    parse_int=_skip_integer,
    parse_constant=_refuse_constant,
)
