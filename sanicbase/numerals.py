"""How a number is written in a text: as JSON has it, and infinite ones by their names, for their type to refuse.

pydantic takes `+1`, `1_0`, ` 1` and digits of other scripts as well, so one thing would have many addresses, and two
programs would read one text differently.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticKnownError

__all__ = ["BigIntStr", "decimal_text", "float_text", "integer_text"]

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
LONGEST = 20  # characters of an integer of 64 bits


def integer_text(value: object) -> object:
    """The value, which goes on to become an int. Raises PydanticKnownError for a text that is none."""
    if isinstance(value, str) and not INTEGER.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


def float_text(value: object) -> object:
    """The value, which goes on to become a float. Raises PydanticKnownError for a text that is none."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise PydanticKnownError("float_parsing")
    return value


def decimal_text(value: object) -> object:
    """The value, which goes on to become a Decimal. Raises PydanticKnownError for a text that is none."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise PydanticKnownError("decimal_parsing")
    return value


def _from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST:
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
"""An integer of 64 bits that goes out as a text, because JavaScript reads a number above 2**53 as another one. In
Python it is an int. A client may send either."""
