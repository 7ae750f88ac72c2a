"""Idempotency-Key: requests that a client may repeat without executing them twice."""

from sanicbase.http.idempotency.declaration import Idempotency, declared_idempotency, idempotent
from sanicbase.http.idempotency.keys import IdempotencyKeys

__all__ = ["Idempotency", "IdempotencyKeys", "declared_idempotency", "idempotent"]
