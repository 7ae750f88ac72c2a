"""The language of an HTTP client, by its Accept-Language (RFC 9110, 12.5.4)."""

from __future__ import annotations

from functools import lru_cache

from sanicbase.i18n.catalogs import Language, match

__all__ = ["negotiate"]


@lru_cache(maxsize=128)  # clients send few different headers
def negotiate(accept_language: str, default: Language) -> Language:
    """The language with the greatest weight in an Accept-Language, the first of those that are equal.

    `default` where the client accepts no language that there is.
    """
    best, greatest = default, 0.0
    for part in accept_language.split(","):
        tag, _, parameters = part.partition(";")
        language = match(tag.strip())
        if language is not None and (weight := _weight(parameters)) > greatest:
            best, greatest = language, weight
    return best


def _weight(parameters: str) -> float:
    """The `q` of a language: 1 where there is none, 0 where it is no number."""
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    value = value.strip()
    return float(value) if len(value) <= 5 and value.replace(".", "", 1).isdecimal() and value.isascii() else 0.0
