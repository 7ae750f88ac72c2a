"""Access tokens (JWT, RFC 7519 and 9068): written and read within narrow rules.

The algorithm and the keys come from the settings. From a token's header, only the identifier of the key is used, and
only to choose among these keys. The client gets the same response for every invalid token; the log contains the reason.
"""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jiter
import orjson

from sanicbase.auth.bearer import MAX_LENGTH
from sanicbase.auth.keys import MAX_KEY_ID, Key, Keys
from sanicbase.errors import NotOpenError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.i18n import gettext_noop as _

__all__ = ["MAX_TEXT", "AccessToken", "AccessTokens"]

logger = logging.getLogger("sanicbase.auth")

INVALID = _("The token is not valid.")
EXPIRED = _("The token has expired.")
# Headers that change what a token means, or that bring a key of their own (RFC 7515, 4.1; RFC 7797; RFC 7516).
REFUSED_HEADERS = frozenset(("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc", "cty"))
PARTS = 3
MAX_TEXT = 255  # characters of a subject
MAX_LIFETIME = 86400.0 + 120.0  # seconds; a longer one is not an access token
LAST_MOMENT = 253402300800.0  # the year 10000


class TokenFault(Exception):
    """Why a token is refused, for the log."""


class Expired(TokenFault):
    """The token is genuine but has expired, which the client may be told."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that was verified."""

    subject: str
    """The user, as `sign_in` was given it."""
    session: str
    """The session that it belongs to; empty for a token of another issuer."""
    expires_at: float
    """When it expires, in seconds since 1970."""
    claims: Mapping[str, Any]
    """All claims."""

    @property
    def id(self) -> str:
        """The subject, so that a token may stand for the user in limits and idempotency keys."""
        return self.subject


class AccessTokens:
    """Creates and verifies the tokens of one issuer for one audience."""

    def __init__(self, keys: Keys, *, algorithm: str, issuer: str, audience: str, kind: str, leeway: float) -> None:
        self._keys = keys
        self._algorithm = algorithm
        self._issuer = issuer
        self._audience = audience
        self._kind = kind
        self._leeway = leeway
        self._header: tuple[Key, bytes] | None = None

    def write(self, subject: str, session: str, lifetime: float) -> str:
        """Create a token for that user and session. Raises NotOpenError if the service only verifies tokens."""
        key, header = self._header = self._header or self._signing()
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "iat": now,
            "exp": now + max(1, round(lifetime)),
            "sid": session,
        }
        message = header + b"." + _encode(orjson.dumps(claims))
        return (message + b"." + _encode(key.sign(message))).decode()

    async def read(self, token: str, *, has_session: bool) -> AccessToken:
        """Verify a token and return its claims. Raises InvalidCredentials, and ResourceError if the keys of another
        issuer cannot be fetched."""
        try:
            header, claims, message, signature = _split(token)
            _verify(await self._keys.get(self._key_id(header)), message, signature)
            return self._checked(_object(claims, "claims"), has_session=has_session)
        except Expired as fault:
            raise InvalidCredentials(EXPIRED) from fault
        except TokenFault as fault:
            logger.info("A token was refused: %s.", fault)
            raise InvalidCredentials(INVALID) from fault

    def _signing(self) -> tuple[Key, bytes]:
        key = self._keys.signing
        if key is None:
            raise NotOpenError("This service only verifies tokens. Set JWT_PRIVATE_KEY to issue them.")
        return key, _encode(orjson.dumps({"alg": self._algorithm, "kid": key.key_id, "typ": self._kind}))

    def _key_id(self, header: Mapping[str, Any]) -> str:
        if header.get("alg") != self._algorithm:
            raise TokenFault("its algorithm is another one")
        if refused := REFUSED_HEADERS & header.keys():
            raise TokenFault(f"its header has {min(refused)}")
        kind = header.get("typ")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") != self._kind.lower():
            raise TokenFault("its typ is another one")
        key_id = header.get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID:
            raise TokenFault("it names no key")
        return key_id

    def _checked(self, claims: dict[str, Any], *, has_session: bool) -> AccessToken:
        if claims.get("iss") != self._issuer:
            raise TokenFault("its issuer is another one")
        audience = claims.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(name, str) for name in listed) or self._audience not in listed:
            raise TokenFault("its audience is another one")
        subject, session = _text(claims, "sub"), _text(claims, "sid") if has_session else ""
        return AccessToken(subject, session, self._check_times(claims), claims)

    def _check_times(self, claims: dict[str, Any]) -> float:
        """Check the times, and return when the token expires."""
        issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
        valid_from = _moment(claims, "nbf") if "nbf" in claims else issued
        now = time.time()
        if max(issued, valid_from) > now + self._leeway:
            raise TokenFault("it is not valid yet")
        if not issued <= expires <= issued + MAX_LIFETIME:
            raise TokenFault("it is valid for too long")
        if now >= expires + self._leeway:
            raise Expired("it has expired")
        return expires


def _split(token: str) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    """Return the header, the JSON of the claims, the signed bytes and the signature, none of them verified."""
    if len(token) > MAX_LENGTH or not token.isascii():
        raise TokenFault("it is too long, or not ASCII")
    parts = token.encode().split(b".")
    if len(parts) != PARTS:
        raise TokenFault("it does not have three parts")
    header, claims, signature = (_decode(part) for part in parts)
    return _object(header, "header"), claims, parts[0] + b"." + parts[1], signature


def _verify(key: Key | None, message: bytes, signature: bytes) -> None:
    if key is None:
        raise TokenFault("its key is unknown")
    try:
        is_valid = key.verify(message, signature)
    except Exception as exc:  # cryptography raises errors of several kinds for malformed signatures
        raise TokenFault("its signature cannot be read") from exc
    if not is_valid:
        raise TokenFault("its signature is wrong")


def _object(document: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object. Duplicate keys are refused, because parsers differ in which value they use."""
    try:
        parsed = jiter.from_json(document, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as exc:
        raise TokenFault(f"its {name} cannot be read") from exc
    if not isinstance(parsed, dict):
        raise TokenFault(f"its {name} is not an object")
    return parsed


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise TokenFault(f"its {name} is not a text")
    return value


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenFault(f"its {name} is not a number")
    if not 0 <= value < LAST_MOMENT:
        raise TokenFault(f"its {name} is out of range")
    return float(value)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(part: bytes) -> bytes:
    """Decode base64url strictly: without padding, other characters or surplus bits."""
    try:
        data = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise TokenFault("it is not base64url") from exc
    if _encode(data) != part:
        raise TokenFault("it is not base64url")
    return data
