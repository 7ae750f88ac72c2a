"""How a number is written in a text: as JSON has it, and infinite ones by their names, for
their type to refuse. pydantic takes `+1`, `1_0`, ` 1` and digits of other scripts as
well, so one thing would have many addresses, and two programs would read one text differently."""

from __future__ import annotations

import re

from pydantic_core import PydanticKnownError

__all__ = ["decimal_text", "float_text", "integer_text"]

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


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
