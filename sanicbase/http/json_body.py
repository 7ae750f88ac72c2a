"""A JSON body, validated straight from its bytes, and more strictly than parsers are by themselves.

Parsers take the last of two equal keys, `NaN`, and numbers that become infinite (RFC 8259 leaves them the choice), so
two of them understand one document differently. Such a body is refused.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from jiter import from_json
from pydantic import TypeAdapter, ValidationError
from sanic.request import Request

from sanicbase.http.bounded_type import BoundedType
from sanicbase.http.content_type import check_content_type
from sanicbase.http.mistakes import InvalidParameters, Mistake, UnreadableBody, printable
from sanicbase.http.nul import has_nul, may_have_nul

__all__ = ["REQUIRED", "JsonBody", "check_json"]

REQUIRED: Any = object()
SAFE_DIGITS = 200  # with an exponent of two digits they are below 1e300; the largest float is 1.8e308
OF_NUMBERS = bytes.maketrans(b"123456789E", b"000000000e")
EXPECTED = ("application/json",)


@dataclass(frozen=True)
class JsonBody:
    """The `body` of a view: what it is, and what it is when the client sent none."""

    type: BoundedType
    default: Any = REQUIRED

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the argument `body`. Raises InvalidParameters, UnsupportedContentType, UnreadableBody.

        Strict: `"1"` is no number and `true` no 1, while what JSON has no type for, a date or a UUID, is a text.
        """
        body = request.body
        if not body:
            if self.default is REQUIRED:
                raise InvalidParameters([Mistake.of("body", "missing")])
            arguments["body"] = self.default
            return
        check_content_type(request, EXPECTED)
        items = self.type.check_items(body, request.app.ctx.config.JSON_MAX_ITEMS)
        check_json(body)
        try:
            value = self.type.validate_json(body, items)
        except ValidationError as exc:
            raise _refusal(exc) from None
        if may_have_nul(body) and has_nul(value):
            raise InvalidParameters([Mistake.of("body", "nul_character")])
        arguments["body"] = value


def check_json(body: bytes) -> None:
    """Refuse what a parser would let pass: a key that stands twice, a number that no type holds."""
    if (fault := _fault(body)) is not None:
        _explain(body, fault)


def _fault(body: bytes) -> str | None:
    """What pydantic's own parser finds wrong, None for nothing; it is fast, and it does not say where."""
    try:
        from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as exc:
        return str(exc)
    return "a number may be infinite" if _may_be_infinite(body) else None


def _may_be_infinite(body: bytes) -> bool:
    """Whether it has a number with a large exponent or many digits; a regular expression takes ten times as long."""
    numbers = body.translate(OF_NUMBERS)
    return b"0e000" in numbers or b"0e+000" in numbers or b"0" * SAFE_DIGITS in numbers


def _explain(body: bytes, fault: str) -> None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise UnreadableBody([Mistake.of("body", "json_encoding")]) from None
    too_deep = InvalidParameters([Mistake.of("body", "json_too_deep")])
    if "recursion" in fault:  # at 200 levels; Python's own limit depends on its version
        raise too_deep
    try:
        _decoder.decode(text)
    except RecursionError:
        raise too_deep from None
    except ValueError:
        raise UnreadableBody([Mistake.of("body", "json_invalid")]) from None


def _refusal(error: ValidationError) -> InvalidParameters:
    refused = InvalidParameters.of(error, "body")
    first = refused.mistakes[0]
    if (first.path, first.code) != ("body", "json_invalid"):
        return refused
    if "recursion" in first.message:  # pydantic's parser follows 200 levels
        return InvalidParameters([Mistake.of("body", "json_too_deep")])
    return UnreadableBody([Mistake.of("body", "json_invalid")])


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidParameters([Mistake.of("body", "json_duplicate_key", key=repr(printable(key)))])
            seen.add(key)


def _finite(text: str) -> None:
    if math.isinf(float(text)):
        raise InvalidParameters([Mistake.of("body", "finite_number", number=printable(text))])


def _constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and the like, which are no JSON


def _integer(text: str) -> None:
    """Its size is its type's affair."""


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_int=_integer, parse_constant=_constant)
