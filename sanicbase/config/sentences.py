"""What pydantic found wrong, as a sentence that names the variable and the remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import ValidationError

from sanicbase.config.secrets import may_hold_secret

__all__ = ["sentences"]


def sentences(error: ValidationError, *, prefix: str, places: str, secrets: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each mistake, with the variable by its `prefix` and the `places` where to correct it.

    The value is quoted unless it may hold a secret: by its name, or because it is one of `secrets`.
    """
    for mistake in error.errors(include_url=False):
        reason = mistake["msg"].removeprefix("Value error, ").rstrip(".")
        path = ".".join(str(part) for part in mistake["loc"])
        if not path:
            yield f"{reason}. Correct it in {places}."
            continue
        name = str(mistake["loc"][0])
        shown = "" if may_hold_secret(name, secrets) else f" is {mistake['input']!r}"
        yield f"{prefix}{path}{shown}: {reason[0].lower()}{reason[1:]}. Correct it in {places}."
