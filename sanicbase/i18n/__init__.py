"""Internationalization: everything that people read, in the languages that have a catalog."""

from sanicbase.i18n.catalogs import (
    DOMAIN,
    LOCALE,
    SOURCE,
    ErrorMessage,
    Language,
    Translation,
    add_catalogs,
    check_language,
    languages,
    translation,
)
from sanicbase.i18n.negotiation import negotiate
from sanicbase.i18n.terminal import gettext, gettext_noop, ngettext, terminal_language

__all__ = [
    "DOMAIN",
    "LOCALE",
    "SOURCE",
    "ErrorMessage",
    "Language",
    "Translation",
    "add_catalogs",
    "check_language",
    "gettext",
    "gettext_noop",
    "languages",
    "negotiate",
    "ngettext",
    "terminal_language",
    "translation",
]
