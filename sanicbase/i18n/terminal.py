"""The terminal's language, by its locale; English where there is no catalog of that."""

from __future__ import annotations

import os

from sanicbase.i18n.catalogs import SOURCE, Language, match, translation

__all__ = ["gettext", "gettext_noop", "ngettext", "terminal_language"]

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides, as POSIX has it


def terminal_language() -> Language:
    """The language of the terminal."""
    locale = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    return match(locale.partition(".")[0].partition("@")[0]) or SOURCE


def gettext(message: str, /, **values: object) -> str:
    """The message in the terminal's language, with a value for each of its placeholders: `{name}`."""
    return translation(terminal_language()).gettext(message, **values)


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """The message in the terminal's language, in its form for the number."""
    return translation(terminal_language()).ngettext(singular, plural, number, **values)


def gettext_noop(message: str, /) -> str:
    """The message as it is: a mark for texts that are translated where they are used."""
    return message
