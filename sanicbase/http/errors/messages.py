"""The messages of mistakes, in the client's language, by their kind: `string_too_long`, and a service's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sanic.request import Request

from sanicbase.i18n import SOURCE, ErrorMessage, Language, Translation, negotiate, translation

__all__ = ["CONTEXT", "Messages", "language_of"]

CONTEXT = "validation"
"""The context of these messages in the catalogs. There they have the kind as a key: the English is pydantic's."""

LONGEST = 200  # characters of a value inside a message
LAST_OR = re.compile(r" or (?='[^']*'$|[^'\s]+$)")  # of pydantic's "1, 2 or 3"
PLACE = re.compile(r"at line (\d+) column (\d+)")


def language_of(request: Request) -> Language:
    """The language of the request's client; the setting LANGUAGE where it accepts none that has a catalog."""
    return negotiate(request.headers.get("accept-language", ""), request.app.ctx.config.LANGUAGE)


class Messages:
    """The messages of pydantic's and sanicbase's mistakes, and a service's own, which go first.

    `create_app(…, messages={"too_cheap": ErrorMessage("Not below {least}.", "不得低于 {least}。")})` adds those of
    `PydanticCustomError("too_cheap", "…", {"least": 10})`, and may replace any other. The placeholders are the values
    that pydantic gives with an error of that kind.
    """

    def __init__(self, own: Mapping[str, ErrorMessage] | None = None) -> None:
        self._own = dict(own or {})

    def text(self, kind: str, context: Mapping[str, object], otherwise: str, language: Language) -> str:
        """The message of a mistake of that kind; `otherwise`, which is English, where there is none that fits."""
        if kind in self._own:
            template = self._own[kind].text(language)
        elif language == SOURCE or (template := translation(language).pgettext(CONTEXT, kind)) == kind:
            return otherwise
        try:
            return str(template.format_map({name: _shown(value, language) for name, value in context.items()}))
        except KeyError:  # somebody gives the same name to a mistake of his own, with other values
            return otherwise


def _shown(value: object, language: Language) -> str:
    text = str(value)[:LONGEST]
    return text if language == SOURCE else _translated(text, translation(language))


def _translated(text: str, catalog: Translation) -> str:
    """A value that is itself English of pydantic's: a list of what is expected, a place in JSON."""
    if place := PLACE.search(text):
        return catalog.gettext("at line {line} column {column}", line=place[1], column=place[2])
    return LAST_OR.sub(lambda found: catalog.gettext(" or "), text)
