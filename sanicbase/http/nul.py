"""NUL in the texts of a body: PostgreSQL has no such text. What nobody reads may have one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import is_dataclass

from pydantic import BaseModel, SecretStr

__all__ = ["has_nul", "may_have_nul"]

ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
SEVERAL = (list, tuple, set, frozenset, deque)


def may_have_nul(body: bytes) -> bool:
    """Whether a JSON document has a text with NUL, in a key or in a value."""
    return rb"\u0000" in body and ESCAPED_NUL.search(body) is not None


def has_nul(value: object) -> bool:
    """Whether a text has NUL in what a body has become: at any depth of models and collections, keys included."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, SecretStr):
            found = found.get_secret_value()
        if isinstance(found, str):
            if "\0" in found:
                return True
        else:
            waiting.extend(_inside(found))
    return False


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, SEVERAL):
        yield from value
    elif isinstance(value, BaseModel):
        yield from vars(value).values()
        yield value.__pydantic_extra__
    elif is_dataclass(value):
        yield from vars(value).values()
