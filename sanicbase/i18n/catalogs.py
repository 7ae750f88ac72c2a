"""The message catalogs: one file of GNU gettext for each language, `locale/zh/LC_MESSAGES/messages.mo`.

English is the source: its texts stand in the code and are the keys (msgids) of every catalog. A folder in `locale/`
with a catalog makes a language; nothing else names one.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "DOMAIN",
    "LOCALE",
    "SOURCE",
    "ErrorMessage",
    "Language",
    "Translation",
    "add_catalogs",
    "languages",
    "match",
    "translation",
]

Language = str
"""A BCP 47 language tag, such as `zh`: the name of a catalog's folder, with hyphens instead of underscores."""

SOURCE: Language = "en"
DOMAIN = "messages"  # the name that Babel and click use: click looks its own messages up in this catalog as well
LOCALE = Path(__file__).with_name("locale")

_further: list[Path] = []  # folders with catalogs of services


class Translation:
    """The texts in one language. A text that is missing in the catalog stays English."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._catalog = gettext.NullTranslations()
        if language == SOURCE:
            return
        locale = language.replace("-", "_")
        self._catalog = gettext.translation(DOMAIN, LOCALE, [locale])
        for folder in _further:
            self._catalog.add_fallback(gettext.translation(DOMAIN, folder, [locale], fallback=True))

    @property
    def name(self) -> str:
        """The language's name for itself: `English`, `中文`."""
        return self.pgettext("language", "English")

    @property
    def tag(self) -> str:
        """The language with its region, if the catalog's header has one: `zh-CN`, for HTML."""
        return self._catalog.info().get("language", self.language).replace("_", "-")

    def gettext(self, message: str, /, **values: object) -> str:
        """The message with a value for each placeholder, `{name}`; without values, braces are kept."""
        text = self._catalog.gettext(message) if message else ""  # "" is the key of the catalog's header
        return text.format(**values) if values else text

    def ngettext(self, singular: str, plural: str, number: int, /, **values: object) -> str:
        """The message in the plural form for the number."""
        text = self._catalog.ngettext(singular, plural, number)
        return text.format(**values) if values else text

    def pgettext(self, context: str, message: str, /) -> str:
        """The message in a context, for texts with several translations; it is not formatted."""
        return self._catalog.pgettext(context, message)


class ErrorMessage(NamedTuple):
    """A message in English and Chinese. In other languages, it is the catalog's translation of the English one.

    The placeholders, `{name}`, are the same in both.
    """

    en: str
    zh: str = ""

    def text(self, language: Language) -> str:
        """The message in that language, not formatted."""
        if language == SOURCE:
            return self.en
        return (self.zh if language == "zh" else "") or translation(language).gettext(self.en)


def add_catalogs(folder: Path) -> None:
    """Look up the texts of a service in its own catalogs, `folder/zh/LC_MESSAGES/messages.mo`.

    They are used for languages that sanicbase has a catalog for, whose texts take precedence.
    """
    if folder not in _further:
        _further.append(folder)
        translation.cache_clear()


@cache
def translation(language: Language) -> Translation:
    """The texts in that language. Raises FileNotFoundError if there is no catalog for it, see `languages`."""
    return Translation(language)


@cache
def languages() -> tuple[Language, ...]:
    """English, then all languages that have a catalog."""
    names = (path.parts[-3].replace("_", "-") for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return (SOURCE, *sorted(names))


def match(tag: str) -> Language | None:
    """The language for a tag; None when no catalog matches.

    `zh-Hans-CN` is truncated from its end until one matches (RFC 4647, 3.4).
    """
    parts = tag.lower().replace("_", "-").split("-")
    while parts:
        if language := _by_tag().get("-".join(parts)):
            return language
        parts.pop()
    return None


@cache
def _by_tag() -> dict[str, Language]:
    return {language.lower(): language for language in languages()}
