"""A second table of idempotency keys, one too many for a service."""

from __future__ import annotations

from sanicbase import IdempotencyRecord


class OtherKey(IdempotencyRecord):
    class Meta:
        table = "other_key"
