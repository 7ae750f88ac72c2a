"""The key of a request (draft-ietf-httpapi-idempotency-key-header), and the request's fingerprint."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args, get_type_hints

from sanicbase.errors import SanicBaseError
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters
from sanicbase.http.guards import Guard
from sanicbase.http.request import Request
from sanicbase.http.user_id import PLAIN_IDS, user_id

__all__ = ["HEADER", "MAX_LENGTH", "PATTERN", "InvalidKey", "RequestKey", "check_identity", "request_key"]

HEADER = "idempotency-key"
PATH = f"header.{HEADER}"
MAX_LENGTH = 255  # characters of a key
MIN_ANONYMOUS = 16  # characters of the key of an anonymous client
STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # a String of RFC 8941, as the draft has it
TOKEN = re.compile(r"[!#-+\--:<-~]+")  # without quotes, as sent by many clients
ESCAPE = re.compile(r"\\(.)")
PATTERN = rf'^({TOKEN.pattern}|"[ !#-\[\]-~]+")$'
"""The header without escapes, for JSON Schema."""


class InvalidKey(InvalidParameters):
    """The header is missing where it is required, or is not valid. 400."""

    status_code = 400


@dataclass(frozen=True)
class RequestKey:
    """The key of a request. `id` is the digest of the client and its key, `fingerprint` that of the request."""

    id: str
    fingerprint: str


def request_key(request: Request, *, required: bool) -> RequestKey | None:
    """The key of a request; None if it has none. Raises InvalidKey."""
    values = request.headers.getall(HEADER, ())
    if not values:
        if required:
            raise InvalidKey([FieldError.of(PATH, "idempotency_key_missing")])
        return None
    key = _key(values[0]) if len(values) == 1 else None
    if key is None:
        raise InvalidKey([FieldError.of(PATH, "idempotency_key_invalid", limit=MAX_LENGTH)])
    client = _identity(request.ctx.user)
    if client is None and len(key) < MIN_ANONYMOUS:
        raise InvalidKey([FieldError.of(PATH, "idempotency_key_too_short", least=MIN_ANONYMOUS)])
    return RequestKey(_digest(client is None, client or "", key), _fingerprint(request))


def check_identity(name: str, admit: Guard) -> None:
    """Refuse a view whose users cannot be distinguished, by the return type of its `admit`. Raises SanicBaseError."""
    try:
        returned = get_type_hints(admit).get("return")
    except (NameError, TypeError):  # only type checkers know it
        return
    kinds = [kind for kind in (get_args(returned) or (returned,)) if inspect.isclass(kind) and kind is not type(None)]
    for kind in kinds:
        if kind is not object and not issubclass(kind, PLAIN_IDS) and not _has_id(kind):
            raise SanicBaseError(
                f"{name} is idempotent, and the keys of one user must not be those of another: give {kind.__name__}, "
                f"which admit returns, an attribute `id`."
            )


def _key(value: str) -> str | None:
    """The key in the value of the header; None if it is not valid."""
    if len(value) > 2 * MAX_LENGTH + 2:
        return None
    if quoted := STRING.fullmatch(value):
        value = ESCAPE.sub(r"\1", quoted[1])
    elif TOKEN.fullmatch(value) is None:
        return None
    return value if 0 < len(value) <= MAX_LENGTH else None


def _identity(user: object) -> str | None:
    """What identifies a user in every process; None for an anonymous client."""
    if user is None:
        return None
    identity = user_id(user)
    if identity is None:
        raise SanicBaseError(f"{type(user).__name__} has no `id`, which tells whose Idempotency-Key it is. Add one.")
    return identity


def _has_id(kind: Any) -> bool:
    annotated = any("id" in getattr(base, "__annotations__", {}) for base in kind.__mro__)
    return annotated or hasattr(kind, "id") or hasattr(kind, "pk")


def _fingerprint(request: Request) -> str:
    kind = request.headers.get("content-type", "")
    return _digest(request.method, request.path, request.query_string, kind, request.body)


def _digest(*parts: str | bytes | bool) -> str:
    """The digest of the parts, each with its length, so that different lists of parts have different digests."""
    digest = sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode(errors="surrogateescape")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()
