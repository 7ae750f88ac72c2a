"""Negotiates the language of an HTTP client from Accept-Language (RFC 9110, 12.5.4)."""

from __future__ import annotations

from functools import lru_cache

from sanicbase.i18n.catalogs import Language, match

__all__ = ["negotiate"]


@lru_cache(maxsize=128)  # clients send few different headers
def negotiate(accept_language: str, default: Language) -> Language:
    """The language with the highest weight in Accept-Language; the first one of equal weights.

    `default` if the client accepts no available language.
    """
    best, greatest = default, 0.0
    for part in accept_language.split(","):
        tag, _, parameters = part.partition(";")
        language = match(tag.strip())
        if language is not None and (weight := _weight(parameters)) > greatest:
            best, greatest = language, weight
    return best


def _weight(parameters: str) -> float:
    """The `q` of a language: 1 by default, 0 if it is not a number."""
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    value = value.strip()
    return float(value) if len(value) <= 5 and value.replace(".", "", 1).isdecimal() and value.isascii() else 0.0
