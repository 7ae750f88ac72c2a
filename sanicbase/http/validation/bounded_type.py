"""Validation of a request with a limited cost, whatever the client sends.

pydantic collects any number of errors, of about 400 bytes each, and as much again for their list: `{},{},…` for models
with ten required fields causes a million errors. A body that can have many errors is therefore validated by a second
validator, in which an array or a dictionary stops at its first invalid item, and a recursive type reports the outermost
invalid level.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, PydanticKnownError, SchemaValidator

from sanicbase.http.body.json_items import check_items
from sanicbase.http.errors.exceptions import CODES, FieldError, InvalidParameters
from sanicbase.http.validation.ambiguity import is_exponential
from sanicbase.http.validation.core_schemas import (
    WRAPPERS,
    Schema,
    changed,
    definitions_of,
    inner_schemas,
    reachable,
    subschemas,
)
from sanicbase.numerals import decimal_text, float_text, integer_text

__all__ = ["BoundedType", "Validates", "check_cost"]

SMALL_BODY = 1000  # bytes, whose items need not be counted
MAX_ERRORS = 20_000  # that pydantic may collect: 10 MB, a fifth of a second
RECURSION_FACTOR = 20  # the path of an error in a recursive type is up to that many times longer
MAX_TEXT = 64 * 1024  # characters of a text that Python code parses, or that is a URL

NUMBER_CHARACTERS = bytes(ord("0" if chr(byte) in r"0123456789abcdefABCDEF_./+-\u" else " ") for byte in range(256))
"""Turns every character of a number into 0, including those in a text with escapes, and all others into a space."""

COLLECTIONS = (
    "list", "deque", "tuple", "set", "frozenset", "dict", "frozen-dict", "ordered-dict", "counter",
)  # fmt: skip
NUMERALS = ("fraction", "decimal")
NUMBER_TEXTS = {"int": integer_text, "float": float_text, "decimal": decimal_text}
STRICT = (
    "bool", "int", "float", "decimal", "complex", "str", "bytes", "date", "time", "datetime", "timedelta", "fraction",
    "enum", "list", "tuple", "set", "frozenset", "dict", "union", "tagged-union", "typed-dict", "model", "dataclass",
    "lax-or-strict", "url", "multi-host-url", "uuid",
)  # fmt: skip
URLS = ("url", "multi-host-url")
PYTHON_PARSERS = (  # modules of functions that accept a text of any length; the last one creates paths
    "ipaddress",
    "pydantic.networks",
    "pydantic._internal._generate_schema",
)
PATTERNS: tuple[Any, ...] = (re.Pattern, re.Pattern[str], re.Pattern[bytes])
COMPILING = [cast("Schema", TypeAdapter(kind).core_schema)["function"] for kind in PATTERNS]
NESTED = "invalid_nested"


class Validates(Protocol):
    """A validator of strings and files, which are already Python objects: a TypeAdapter or a BoundedType."""

    def validate_python(self, value: Any, /) -> Any:
        """Return the validated value. Raises ValidationError."""


class JsonValidator(Validates, Protocol):
    """A validator of JSON as well."""

    def validate_json(self, data: bytes, /, *, strict: bool | None = None) -> Any:
        """Return the validated value. Raises ValidationError."""


@dataclass(frozen=True)
class BoundedType:
    """A type with its validators. `adapter` is pydantic's own, which the document describes."""

    adapter: TypeAdapter[Any]

    def check_items(self, body: bytes, limit: int) -> int:
        """Return the approximate number of items in a body. Raises InvalidParameters if there are more than `limit`, or
        if a number is too long for Python's Fraction, which takes quadratic time, or Decimal, which takes ten times the
        memory of its text."""
        if len(body) <= min(SMALL_BODY, limit):
            return len(body)
        if self._has_numerals and b"0" * (MAX_TEXT + 1) in body.translate(NUMBER_CHARACTERS):
            raise InvalidParameters([FieldError.of("body", "number_too_long", limit=MAX_TEXT)])
        return check_items(body, limit, in_texts=self._parses_texts)

    def validate_json(self, body: bytes, items: int) -> Any:
        """Return the value of a body with that many items, validated strictly.

        Raises ValidationError, with every error if there can be at most MAX_ERRORS."""
        validator = self._validator if items * self._errors_per_item <= MAX_ERRORS else self._fail_fast
        return validator.validate_json(body, strict=None if self._is_lenient_somewhere else True)

    def validate_python(self, value: Any, /) -> Any:
        """Return the value of strings, validated leniently. Raises ValidationError."""
        return self._text_validator.validate_python(value)

    def check_texts(self, texts: bytes, most_items: int, place: str) -> None:
        """Refuse strings with more items than that, if the type parses some as JSON. Raises InvalidParameters."""
        if self._parses_texts:
            check_items(texts, most_items, in_texts=True, place=place)

    @cached_property
    def _is_lenient_somewhere(self) -> bool:
        """Whether a field has `strict=False`, which pydantic ignores if the whole validation is strict."""
        return any(schema.get("strict") is False for schema in subschemas(self._schema))

    @cached_property
    def _validator(self) -> JsonValidator:
        limited = changed(self._schema, _limit_text)
        if self._is_lenient_somewhere:
            limited = changed(limited, _strict)
        # pydantic's own is shared with the model, and costs nothing.
        return _build(limited) if limited != self._schema else self.adapter.validator

    @cached_property
    def _text_validator(self) -> Validates:
        return _build(changed(changed(self._schema, _limit_text), _as_json_writes))

    @cached_property
    def _fail_fast(self) -> JsonValidator:
        recursive = _recursive(self._schema)
        limited = changed(changed(self._schema, _limit_text), lambda schema: _stop_early(schema, recursive))
        return _build(changed(limited, _strict) if self._is_lenient_somewhere else limited)

    @cached_property
    def _parses_texts(self) -> bool:
        """Whether strings have items of their own: JSON inside JSON, the hosts of a URL."""
        return any(schema["type"] in ("json", "multi-host-url") for schema in subschemas(self._schema))

    @cached_property
    def _errors_per_item(self) -> int:
        """The approximate maximum number of errors of one item."""
        errors = max(_max_errors(schema) for schema in subschemas(self._schema))
        return errors * RECURSION_FACTOR if _recursive(self._schema) else errors

    @cached_property
    def _has_numerals(self) -> bool:
        return any(schema["type"] in NUMERALS for schema in subschemas(self._schema))

    @property
    def _schema(self) -> Schema:
        if not self.adapter.pydantic_complete:  # it refers to what was defined after it
            self.adapter.rebuild()
        return cast("Schema", self.adapter.core_schema)


def check_cost(adapter: TypeAdapter[Any]) -> str | None:
    """The reason why requests must not be validated with that type; None if they may be, or if it is not known yet."""
    if not adapter.pydantic_complete:
        return None
    schema = cast("Schema", adapter.core_schema)
    if any(_is_pattern(subschema) for subschema in subschemas(schema)):
        return "a regular expression from a client can take minutes to compile; take a str"
    if is_exponential(schema):
        return "a union that contains itself takes exponential time to validate; give its models a discriminator"
    return None


def _max_errors(schema: Schema) -> int:
    """The maximum number of errors of a value, without those of its items: all fields of a model may be missing, and a
    union has the errors of all its choices."""
    inner = [_max_errors(inner_schema) for inner_schema in inner_schemas(schema)]
    if schema["type"] == "union":
        return sum(inner)
    if schema["type"] in ("model-fields", "typed-dict", "dataclass-args"):
        return max(1, len(inner))
    return max(inner, default=1) if any(key in schema for key in WRAPPERS) else 1


def _build(schema: Schema) -> SchemaValidator:
    # Without the prebuilt validators of the models, which belong to the unchanged schema.
    return SchemaValidator(cast("CoreSchema", schema), _use_prebuilt=False)


def _limit_text(schema: Schema) -> Schema:
    """Limit the strings that pydantic passes to code whose cost grows faster than their length."""
    kind = schema["type"]
    if kind in URLS:
        return {"max_length": MAX_TEXT, **schema}
    if kind in NUMERALS:  # in JSON, a function would make it lenient, see check_items
        limited = {"type": "function-before", "function": {"type": "no-info", "function": _short}, "schema": schema}
        return {"type": "json-or-python", "json_schema": schema, "python_schema": limited}
    if kind == "function-after" and schema["schema"]["type"] == "str" and _module(schema) in PYTHON_PARSERS:
        return {**schema, "schema": {"max_length": MAX_TEXT, **schema["schema"]}}
    return schema


def _as_json_writes(schema: Schema) -> Schema:
    """Accept numbers in strings only as JSON writes them. In JSON, a function would make them lenient."""
    kind = "int" if schema["type"] == "enum" and schema.get("sub_type") == "int" else schema["type"]
    if kind not in NUMBER_TEXTS:
        return schema
    inner = {key: value for key, value in schema.items() if key != "ref"}
    text = {"type": "function-before", "function": {"type": "no-info", "function": NUMBER_TEXTS[kind]}, "schema": inner}
    return {"type": "json-or-python", "json_schema": inner, "python_schema": text, **_reference(schema)}


def _strict(schema: Schema) -> Schema:
    """Make a schema strict unless it says `strict`."""
    return {"strict": True, **schema} if schema["type"] in STRICT else schema


def _stop_early(schema: Schema, recursive: frozenset[str]) -> Schema:
    if schema["type"] in COLLECTIONS:
        schema = {**schema, "fail_fast": True}
    if schema.get("ref") not in recursive:
        return schema
    inner = {key: value for key, value in schema.items() if key != "ref"}
    error = {"custom_error_type": NESTED, "custom_error_message": CODES[NESTED]}
    return {"type": "custom-error", "schema": inner, **error, **_reference(schema)}


def _recursive(schema: Schema) -> frozenset[str]:
    """The names of the recursive parts of a type."""
    definitions = definitions_of(schema)
    return frozenset(
        name
        for name, part in definitions.items()
        if any(inner.get("schema_ref") == name for inner in reachable(part, definitions))
    )


def _reference(schema: Schema) -> Schema:
    return {"ref": schema["ref"]} if "ref" in schema else {}


def _short(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_TEXT})
    return value


def _module(schema: Schema) -> str:
    return str(getattr(schema["function"]["function"], "__module__", ""))


def _is_pattern(schema: Schema) -> bool:
    """Whether it compiles a regular expression; pydantic has no schema type for that."""
    return schema["type"] == "function-plain" and schema["function"] in COMPILING
