"""What mistakes are called in the client's language, by their kind: `string_too_long`, and a service's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sanicbase.codes import Language
from sanicbase.http.chinese import CHINESE

__all__ = ["Catalogue", "Words"]

LONGEST = 200  # characters of a value inside a message
LAST_OR = re.compile(r" or (?='[^']*'$|[^'\s]+$)")  # of pydantic's "1, 2 or 3"
PLACE = re.compile(r"at line (\d+) column (\d+)")


class Words(NamedTuple):
    """A message in both languages. Its placeholders are the values that pydantic gives with an error of that kind."""

    en: str
    zh: str


class Catalogue:
    """The messages of pydantic's and sanicbase's mistakes, and a service's own, which go first.

    `create_app(…, messages={"too_cheap": Words("Not below {least}.", "不得低于 {least}。")})` adds those of
    `PydanticCustomError("too_cheap", "…", {"least": 10})`, and may replace any other.
    """

    def __init__(self, own: Mapping[str, Words] | None = None) -> None:
        self._own = dict(own or {})

    def message(self, kind: str, context: Mapping[str, object], otherwise: str, language: Language) -> str:
        """The message of a mistake of that kind; `otherwise`, which is English, where there is none that fits."""
        if kind in self._own:
            template = getattr(self._own[kind], language)
        else:
            template = CHINESE.get(kind) if language == "zh" else None
        if template is None:
            return otherwise
        try:
            return str(template.format_map({name: _shown(value, language) for name, value in context.items()}))
        except KeyError:  # somebody gives the same name to a mistake of his own, with other values
            return otherwise


def _shown(value: object, language: Language) -> str:
    text = str(value)[:LONGEST]
    if language == "zh":
        text = LAST_OR.sub(" 或 ", text)
        if place := PLACE.search(text):
            text = f"第 {place[1]} 行第 {place[2]} 列"
    return text
