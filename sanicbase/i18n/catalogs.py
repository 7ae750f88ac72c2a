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
    "check_language",
    "languages",
    "match",
    "translation",
]

Language = str
"""A language tag of BCP 47, such as `zh`; that of a catalog's folder, with a hyphen in place of an underscore."""

SOURCE: Language = "en"
DOMAIN = "messages"  # as Babel and click name theirs: click's own messages are looked up in this catalog as well
LOCALE = Path(__file__).with_name("locale")

_further: list[Path] = []  # folders with catalogs of services


class Translation:
    """The texts in one language. What the catalog lacks is English."""

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
        """What the language calls itself: `English`, `中文`."""
        return self.pgettext("language", "English")

    @property
    def tag(self) -> str:
        """The language with its region, where the catalog's header has one: `zh-CN`, for HTML."""
        return self._catalog.info().get("language", self.language).replace("_", "-")

    def gettext(self, message: str, /, **values: object) -> str:
        """The message with a value for each placeholder, `{name}`; without values its braces are only braces."""
        text = self._catalog.gettext(message) if message else ""  # "" is the key of the catalog's header
        return text.format(**values) if values else text

    def ngettext(self, singular: str, plural: str, number: int, /, **values: object) -> str:
        """The message in the form that the language has for the number."""
        text = self._catalog.ngettext(singular, plural, number)
        return text.format(**values) if values else text

    def pgettext(self, context: str, message: str, /) -> str:
        """The message of a context, for texts that are not translated alike everywhere; it is not formatted."""
        return self._catalog.pgettext(context, message)


class ErrorMessage(NamedTuple):
    """A message in English and Chinese. In any other language it is what the catalog has for the English one.

    Its placeholders, `{name}`, are the same in both.
    """

    en: str
    zh: str = ""

    def text(self, language: Language) -> str:
        """The message in that language, not formatted."""
        if language == SOURCE:
            return self.en
        return (self.zh if language == "zh" else "") or translation(language).gettext(self.en)


def add_catalogs(folder: Path) -> None:
    """Have a service's own texts looked up in its own catalogs, `folder/zh/LC_MESSAGES/messages.mo`.

    They are for languages that sanicbase has a catalog of; its texts go first.
    """
    if folder not in _further:
        _further.append(folder)
        translation.cache_clear()


@cache
def translation(language: Language) -> Translation:
    """The texts in that language. Raises FileNotFoundError where there is no catalog of it, see `languages`."""
    return Translation(language)


@cache
def languages() -> tuple[Language, ...]:
    """English, then every language that has a catalog."""
    found = (path.parts[-3].replace("_", "-") for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return (SOURCE, *sorted(found))


def check_language(name: str) -> Language:
    """The language, which has a catalog. Raises ValueError, the reason without its beginning, where it has none."""
    if name not in languages():
        raise ValueError(f"there is no catalog of this language; write one of {', '.join(languages())}")
    return name


def match(tag: str) -> Language | None:
    """The language for a tag, None where there is none.

    `zh-Hans-CN` is cut from its end until one fits (RFC 4647, 3.4).
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
