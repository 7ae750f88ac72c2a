"""What identifies the users of a service in every process: for rate limits and idempotency keys."""

from __future__ import annotations

from uuid import UUID

__all__ = ["PLAIN_IDS", "user_id"]

PLAIN_IDS = (str, int, UUID)
"""What `admit` may return instead of an object with an `id`."""


def user_id(user: object) -> str | None:
    """The `id` or `pk` of what `admit` returned, or the value itself if it is a plain id; None for other objects."""
    plain_id = user if isinstance(user, PLAIN_IDS) else getattr(user, "id", getattr(user, "pk", None))
    return None if plain_id is None else str(plain_id)
