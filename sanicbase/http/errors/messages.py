"""Messages of field errors in the client's language, by code: `string_too_long`, and those that a service adds."""

from __future__ import annotations

from collections.abc import Mapping

from sanic.request import Request

from sanicbase.i18n import ErrorMessage, Language, format_validation, negotiate, validation_message

__all__ = ["Messages", "language_of"]


def language_of(request: Request) -> Language:
    """The language of the request's client; the setting LANGUAGE if it accepts none that has a catalog."""
    return negotiate(request.headers.get("accept-language", ""), request.app.ctx.config.LANGUAGE)


class Messages:
    """The messages of pydantic's and sanicbase's field errors. Those of the service take precedence.

    `create_app(…, messages={"too_cheap": ErrorMessage("Not below {least}.", "不得低于 {least}。")})` adds the
    message of `PydanticCustomError("too_cheap", "…", {"least": 10})`, and may replace any other. The placeholders are
    the values in the context of the error.
    """

    def __init__(self, custom: Mapping[str, ErrorMessage] | None = None) -> None:
        self._custom = dict(custom or {})

    def text(self, code: str, context: Mapping[str, object], default: str, language: Language) -> str:
        """The message of a field error with that code; `default`, in English, if there is none with these
        placeholders."""
        if code in self._custom:
            return format_validation(self._custom[code].text(language), context, default, language)
        return validation_message(code, context, default, language)
