"""Internationalization: all texts for people, in the languages that have a catalog."""

from sanicbase.i18n.catalogs import (
    DOMAIN,
    LOCALE,
    SOURCE,
    ErrorMessage,
    Language,
    Translation,
    add_catalogs,
    languages,
    translation,
)
from sanicbase.i18n.negotiation import negotiate
from sanicbase.i18n.terminal import gettext, gettext_noop, ngettext, terminal_language
from sanicbase.i18n.validation import (
    VALIDATION,
    check_language,
    format_validation,
    terminal_reason,
    validation_message,
)

__all__ = [
    "DOMAIN",
    "LOCALE",
    "SOURCE",
    "VALIDATION",
    "ErrorMessage",
    "Language",
    "Translation",
    "add_catalogs",
    "check_language",
    "format_validation",
    "gettext",
    "gettext_noop",
    "languages",
    "negotiate",
    "ngettext",
    "terminal_language",
    "terminal_reason",
    "translation",
    "validation_message",
]
