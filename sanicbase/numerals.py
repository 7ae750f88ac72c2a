"""Numbers in texts: the syntax of JSON, and the names of infinite ones, which their type may refuse.

pydantic also accepts `+1`, `1_0`, ` 1` and digits of other scripts, so one resource would have many URLs, and two
programs might read the same text differently.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticKnownError

__all__ = ["BigIntStr", "decimal_text", "float_text", "integer_text"]

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
MAX_LENGTH = 20  # characters of an integer of 64 bits


def integer_text(value: object) -> object:
    """Validate the text of an int, and return it unchanged. Raises PydanticKnownError when it is invalid."""
    if isinstance(value, str) and not INTEGER.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


def float_text(value: object) -> object:
    """Validate the text of a float, and return it unchanged. Raises PydanticKnownError when it is invalid."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise PydanticKnownError("float_parsing")
    return value


def decimal_text(value: object) -> object:
    """Validate the text of a Decimal, and return it unchanged. Raises PydanticKnownError when it is invalid."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise PydanticKnownError("decimal_parsing")
    return value


def _from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    if len(value) > MAX_LENGTH:
        raise PydanticKnownError("int_parsing_size")
    integer_text(value)
    return int(value)


BigIntStr = Annotated[
    int,
    Field(ge=-(2**63), le=2**63 - 1),
    BeforeValidator(_from_text),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "format": "int64", "pattern": "^-?(0|[1-9][0-9]{0,18})$", "examples": ["1234567890123456"]}
    ),
]
"""A 64-bit integer that is serialized as a string, because JavaScript loses precision above 2**53. In Python it is an
int. A client may send either."""
