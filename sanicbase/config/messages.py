"""Messages for pydantic's validation errors of settings, which name the variable and the remedy, in the
language of the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import ValidationError

from sanicbase.config.secrets import may_hold_secret
from sanicbase.i18n import gettext as _
from sanicbase.i18n import terminal_reason

__all__ = ["error_messages"]


def error_messages(error: ValidationError, *, prefix: str, places: str, secrets: Collection[str] = ()) -> Iterator[str]:
    """A message for each error, with the `prefix` of the variable and the `places` where it can be corrected.

    It quotes the value unless that may contain a secret, by the setting's name or because it is one of `secrets`.
    """
    for details in error.errors(include_url=False):
        reason = terminal_reason(details)
        path = ".".join(str(part) for part in details["loc"])
        if not path:
            yield _("{reason}. Correct it in {places}.", reason=reason, places=places)
            continue
        name, reason = f"{prefix}{path}", f"{reason[0].lower()}{reason[1:]}"
        if may_hold_secret(str(details["loc"][0]), secrets):
            yield _("{name}: {reason}. Correct it in {places}.", name=name, reason=reason, places=places)
        else:
            yield _(
                "{name} is {value!r}: {reason}. Correct it in {places}.",
                name=name,
                value=details["input"],
                reason=reason,
                places=places,
            )
