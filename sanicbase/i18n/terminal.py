"""The language of the terminal, from its locale; English if there is no catalog for it."""

from __future__ import annotations

import os

from sanicbase.i18n.catalogs import SOURCE, Language, match, translation

__all__ = ["gettext", "gettext_noop", "ngettext", "terminal_language"]

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first variable that is set decides, as in POSIX


def terminal_language() -> Language:
    """The language of the terminal."""
    locale = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    return match(locale.partition(".")[0].partition("@")[0]) or SOURCE


def gettext(message: str, /, **values: object) -> str:
    """The message in the language of the terminal, with a value for each placeholder: `{name}`."""
    return translation(terminal_language()).gettext(message, **values)


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """The message in the language of the terminal, in the plural form for the number."""
    return translation(terminal_language()).ngettext(singular, plural, number, **values)


def gettext_noop(message: str, /) -> str:
    """Mark a message that is translated where it is used; return it unchanged."""
    return message
