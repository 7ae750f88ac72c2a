"""Bearer tokens (RFC 6750): taken from the Authorization header only, and kept as digests."""

from __future__ import annotations

import hashlib
import re

from sanic.exceptions import Unauthorized
from sanic.request import Request

__all__ = ["bearer_token", "token_digest"]

TOKEN = re.compile(r"[!-~]{1,4096}")  # what stands in a header without quotes; RFC 6750 has fewer


def bearer_token(request: Request, *, scheme: str = "Bearer") -> str:
    """The token of `Authorization: Bearer …`, or of another scheme: visible ASCII, 4096 characters at most.

    Raises Unauthorized, answered 401, where there is no such token.
    """
    given, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip(" \t")
    if given.lower() != scheme.lower() or not TOKEN.fullmatch(token):
        raise Unauthorized(f"Send the header `Authorization: {scheme} <token>`.", scheme=scheme)
    return token


def token_digest(token: str) -> str:
    """The form in which a random token is stored and looked up: SHA-256 in hexadecimal, 64 characters.

    A random token needs no slow hash, and looking up its digest by an index gives away no part of it by time. Any text
    has a digest, also one of bytes that are not UTF-8, as a header may hold.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
