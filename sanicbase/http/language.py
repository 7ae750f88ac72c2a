"""In which language a client is spoken to: English or Chinese, by Accept-Language (RFC 9110, 12.5.4)."""

from __future__ import annotations

from sanic.request import Request

from sanicbase.codes import Language

__all__ = ["language_of", "preferred"]


def language_of(request: Request) -> Language:
    """The language of the request's client; the setting LANGUAGE where the client names neither."""
    return preferred(request.headers.get("accept-language", ""), request.app.ctx.config.LANGUAGE)


def preferred(accepted: str, otherwise: Language) -> Language:
    """The one of the two languages with the greater weight in an Accept-Language, the first of two that are equal."""
    best, greatest = otherwise, 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        language: Language | None = "zh" if name == "zh" else "en" if name == "en" else None
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
