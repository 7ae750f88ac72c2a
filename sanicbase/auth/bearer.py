"""Bearer tokens (RFC 6750): taken from the Authorization header only."""

from __future__ import annotations

import re

from sanic.exceptions import SanicException

from sanicbase.codes import StatusError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import gettext_noop as _

__all__ = ["MAX_LENGTH", "bearer_token"]

MAX_LENGTH = 4096  # characters of a token
# Exactly one token: RFC 6750's b64token, and the characters that separate the parts of other random tokens.
CREDENTIALS = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([A-Za-z0-9._~+/|:-]+=*)")
NONE = _("Authentication is required. Send the header Authorization with a token.")
OTHER_SCHEME = _("This service does not accept the scheme of the header Authorization.")
MALFORMED = _("The header Authorization must have one scheme and one token.")


def bearer_token(request: AnyRequest, *, scheme: str = "Bearer") -> str:
    """The token of `Authorization: Bearer …`, or of another scheme, whose case does not matter.

    A token consists of at most 4096 characters: those of RFC 6750, `|` and `:`. Raises InvalidCredentials (401) if
    there is no such token; the response to a longer one is a 431.
    """
    header = request.headers.get("authorization")
    if header is None:
        raise InvalidCredentials(NONE, scheme=scheme, error=None)
    if len(header) > MAX_LENGTH + len(scheme) + 1:
        raise SanicException("The header Authorization is too large.", StatusError.HEADERS_TOO_LARGE.status)
    credentials = CREDENTIALS.fullmatch(header.strip(" \t"))  # spaces around a value are not part of it
    if credentials is None:
        raise InvalidCredentials(MALFORMED, scheme=scheme)
    if credentials[1].lower() != scheme.lower():
        raise InvalidCredentials(OTHER_SCHEME, scheme=scheme, error=None)
    return credentials[2]
