"""Messages of pydantic's validation errors, by type: `string_too_long`, and the types that sanicbase adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sanicbase.i18n.catalogs import SOURCE, Language, Translation, languages, translation
from sanicbase.i18n.terminal import gettext as _
from sanicbase.i18n.terminal import terminal_language

__all__ = ["VALIDATION", "check_language", "format_validation", "terminal_reason", "validation_message"]

VALIDATION = "validation"
"""The context of these messages in the catalogs. Their msgid is the type, since the English is pydantic's."""

MAX_VALUE_LENGTH = 200  # characters of a value inside a message
LAST_OR = re.compile(r" or (?='[^']*'$|[^'\s]+$)")  # of pydantic's "1, 2 or 3"
PLACE = re.compile(r"at line (\d+) column (\d+)")


def check_language(name: str) -> Language:
    """Return the language if it has a catalog. Raises ValueError with the reason otherwise."""
    if name not in languages():
        raise ValueError(_("there is no catalog of this language; write one of {names}", names=", ".join(languages())))
    return name


def validation_message(code: str, context: Mapping[str, object], default: str, language: Language) -> str:
    """The message of an error of that type; `default`, in English, when the catalog has no fitting one."""
    if language == SOURCE or (template := translation(language).pgettext(VALIDATION, code)) == code:
        return default
    return format_validation(template, context, default, language)


def terminal_reason(details: Mapping[str, Any]) -> str:
    """The message of one of pydantic's errors in the language of the terminal, without the final period.

    That of a ValueError is already in this language: the code that raises it has translated it.
    """
    code, message = str(details["type"]), str(details["msg"])
    if code == "value_error":
        message = message.removeprefix("Value error, ")
    else:
        message = validation_message(code, details.get("ctx", {}), message, terminal_language())
    return message.rstrip(".。")


def format_validation(template: str, context: Mapping[str, object], default: str, language: Language) -> str:
    """A message with the values of the error; `default` for an error with other values than the message has."""
    try:
        return template.format_map({name: _format_value(value, language) for name, value in context.items()})
    except KeyError:
        return default


def _format_value(value: object, language: Language) -> str:
    text = str(value)[:MAX_VALUE_LENGTH]
    return text if language == SOURCE else _translate_value(text, translation(language))


def _translate_value(text: str, catalog: Translation) -> str:
    """Translate a value that is English text of pydantic: a list of expected values, a place in JSON."""
    if place := PLACE.search(text):
        return catalog.gettext("at line {line} column {column}", line=place[1], column=place[2])
    return LAST_OR.sub(lambda match: catalog.gettext(" or "), text)
