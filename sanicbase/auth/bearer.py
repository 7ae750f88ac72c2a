"""Bearer tokens (RFC 6750): taken from the Authorization header, and from what a browser can send with the handshake of
a WebSocket."""

from __future__ import annotations

import re

from sanic.exceptions import SanicException

from sanicbase.codes import StatusError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.guards import BEARER_SUBPROTOCOL, offered_subprotocols
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import gettext_noop as _

__all__ = ["MAX_LENGTH", "TICKET", "bearer_token", "has_ticket", "has_token", "offered_token"]

MAX_LENGTH = 4096  # characters of a token
# Exactly one token: RFC 6750's b64token, and the characters that separate the parts of other random tokens.
TOKEN = re.compile(r"[A-Za-z0-9._~+/|:-]+=*")
CREDENTIALS = re.compile(rf"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +({TOKEN.pattern})")
TICKET = "ticket"  # a parameter of the query
NONE = _("Authentication is required. Send the header Authorization with a token.")
OTHER_SCHEME = _("This service does not accept the scheme of the header Authorization.")
MALFORMED = _("The header Authorization must have one scheme and one token.")


def bearer_token(request: AnyRequest, *, scheme: str = "Bearer") -> str:
    """The token of `Authorization: Bearer …`, or of another scheme, whose case does not matter.

    A browser cannot send this header with the handshake of a WebSocket, so there the token may be a subprotocol:
    `new WebSocket(url, ["bearer", token])`.

    A token consists of at most 4096 characters: those of RFC 6750, `|` and `:`. Raises InvalidCredentials (401) if
    there is no such token; the response to a longer header is a 431.
    """
    header = request.headers.get("authorization")
    if header is None:
        token = offered_token(request) if scheme.lower() == BEARER_SUBPROTOCOL else None
        if token is None:
            raise InvalidCredentials(NONE, scheme=scheme, error=None)
        return token
    if len(header) > MAX_LENGTH + len(scheme) + 1:
        raise SanicException("The header Authorization is too large.", StatusError.HEADERS_TOO_LARGE.status)
    credentials = CREDENTIALS.fullmatch(header.strip(" \t"))  # spaces around a value are not part of it
    if credentials is None:
        raise InvalidCredentials(MALFORMED, scheme=scheme)
    if credentials[1].lower() != scheme.lower():
        raise InvalidCredentials(OTHER_SCHEME, scheme=scheme, error=None)
    return credentials[2]


def has_token(request: AnyRequest) -> bool:
    """Whether the request has the header Authorization or, in the handshake of a WebSocket, what browsers send in its
    place: the subprotocol `bearer`, or a ticket. For an `admit` that admits anonymous clients as well."""
    return "authorization" in request.headers or BEARER_SUBPROTOCOL in _subprotocols(request) or has_ticket(request)


def has_ticket(request: AnyRequest) -> bool:
    """Whether it is a handshake with a ticket in the query, and without the header Authorization."""
    return "authorization" not in request.headers and _is_handshake(request) and TICKET in request.args


def offered_token(request: AnyRequest) -> str | None:
    """The token that follows the subprotocol `bearer` in a handshake."""
    offered = _subprotocols(request)
    if offered.count(BEARER_SUBPROTOCOL) != 1 or offered[-1] == BEARER_SUBPROTOCOL:
        return None
    token = offered[offered.index(BEARER_SUBPROTOCOL) + 1]
    return token if len(token) <= MAX_LENGTH and TOKEN.fullmatch(token) else None


def _subprotocols(request: AnyRequest) -> list[str]:
    return offered_subprotocols(request) if _is_handshake(request) else []


def _is_handshake(request: AnyRequest) -> bool:
    return "sec-websocket-key" in request.headers
