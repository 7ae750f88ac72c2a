"""How many items a JSON body has, counted in its bytes before anything is built from them."""

from __future__ import annotations

import re

from sanicbase.http.mistakes import InvalidParameters, Mistake

__all__ = ["check_items"]

# Up to the next comma or bracket that is not in a string. Possessive, so that no byte is read twice.
NEXT_ITEM = re.compile(rb'[^",\[{]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^",\[{]*+)*+[,\[{]', re.DOTALL)


def check_items(body: bytes, most: int, *, in_texts: bool = False, place: str = "body") -> int:
    """Return the number of items, or a number between it and `most`: values of arrays, keys of objects, and the arrays
    and objects themselves. `in_texts` counts what is written in strings, too, for types that parse those once more.

    Takes some milliseconds for a megabyte, and no memory. Raises InvalidParameters when there are more than `most`.
    """
    found = 1 + body.count(b",") + body.count(b"[") + body.count(b"{")
    if in_texts:  # where an escape may stand for any of them
        found += body.count(b"\\u")
    elif found > most:
        found = 1 + _outside_of_strings(body, most)
    if found > most:
        raise InvalidParameters([Mistake.of(place, "json_too_many_items", most=most)])
    return found


def _outside_of_strings(body: bytes, enough: int) -> int:
    found = position = 0
    while found <= enough and (item := NEXT_ITEM.match(body, position)):
        position = item.end()
        found += 1
    return found
