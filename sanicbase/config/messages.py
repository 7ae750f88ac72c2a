"""Messages for pydantic's validation errors of settings, which name the variable and the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import ValidationError

from sanicbase.config.secrets import may_hold_secret

__all__ = ["error_messages"]


def error_messages(error: ValidationError, *, prefix: str, places: str, secrets: Collection[str] = ()) -> Iterator[str]:
    """A message for each error, with the `prefix` of the variable and the `places` where it can be corrected.

    It quotes the value unless that may contain a secret, by the setting's name or because it is one of `secrets`.
    """
    for details in error.errors(include_url=False):
        reason = details["msg"].removeprefix("Value error, ").rstrip(".")
        path = ".".join(str(part) for part in details["loc"])
        if not path:
            yield f"{reason}. Correct it in {places}."
            continue
        name = str(details["loc"][0])
        value = "" if may_hold_secret(name, secrets) else f" is {details['input']!r}"
        yield f"{prefix}{path}{value}: {reason[0].lower()}{reason[1:]}. Correct it in {places}."
