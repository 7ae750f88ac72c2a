"""Bearer tokens (RFC 6750): taken from the Authorization header only, and kept as digests."""

from __future__ import annotations

import hashlib

from sanic.exceptions import Unauthorized
from sanic.request import Request

__all__ = ["bearer_token", "token_digest"]

LONGEST = 4096  # characters


def bearer_token(request: Request, *, scheme: str = "Bearer") -> str:
    """The token of `Authorization: Bearer …`, or of another scheme. Raises Unauthorized, answered 401, without one."""
    given, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if given.lower() != scheme.lower() or not token or len(token) > LONGEST:
        raise Unauthorized(f"Send the header `Authorization: {scheme} <token>`.", scheme=scheme)
    return token


def token_digest(token: str) -> str:
    """The form in which a random token is stored and looked up: SHA-256 in hexadecimal, 64 characters.

    A random token needs no slow hash, and looking up its digest by an index gives away no part of it by time.
    """
    return hashlib.sha256(token.encode()).hexdigest()
