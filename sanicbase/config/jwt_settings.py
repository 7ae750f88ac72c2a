"""Which settings of access tokens go together, and how good their secrets must be."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from sanicbase.config.addresses import LOOPBACK
from sanicbase.config.secrets import HOW_TO_MAKE, weakness_of
from sanicbase.i18n import gettext as _

__all__ = ["HOW_TO_MAKE_KEY", "JWTAlgorithm", "check_jwt", "weak_jwt_secrets"]

JWTAlgorithm = Literal["HS256", "EdDSA", "ES256", "RS256"]

HOW_TO_MAKE_KEY = {
    "EdDSA": "openssl genpkey -algorithm ed25519",
    "ES256": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "RS256": "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072",
}
"""The commands that make a private key."""
MIN_SECRET = 32  # bytes (RFC 7518, 3.2)


class JWTSettings(Protocol):
    """The settings of access tokens."""

    @property
    def ENV(self) -> str: ...  # noqa: N802
    @property
    def SERVER_NAME(self) -> str: ...  # noqa: N802
    @property
    def JWT_ALGORITHM(self) -> JWTAlgorithm: ...  # noqa: N802
    @property
    def JWT_SECRET(self) -> str: ...  # noqa: N802
    @property
    def JWT_OTHER_SECRETS(self) -> list[SecretStr]: ...  # noqa: N802
    @property
    def JWT_PRIVATE_KEY(self) -> str: ...  # noqa: N802
    @property
    def JWT_PUBLIC_KEYS(self) -> list[str]: ...  # noqa: N802
    @property
    def JWT_JWKS_URL(self) -> str: ...  # noqa: N802
    @property
    def JWT_ISSUER(self) -> str: ...  # noqa: N802
    @property
    def JWT_AUDIENCE(self) -> str: ...  # noqa: N802
    @property
    def JWT_ACCESS_TTL(self) -> float: ...  # noqa: N802
    @property
    def JWT_REFRESH_TTL(self) -> float: ...  # noqa: N802
    @property
    def JWT_SESSION_TTL(self) -> float: ...  # noqa: N802


def check_jwt(settings: JWTSettings) -> None:
    """Raises ValueError, with a sentence, for settings that contradict each other."""
    secrets = settings.JWT_SECRET or settings.JWT_OTHER_SECRETS
    keys = settings.JWT_PRIVATE_KEY or settings.JWT_PUBLIC_KEYS
    if settings.JWT_ALGORITHM == "HS256" and (keys or settings.JWT_JWKS_URL):
        raise ValueError(
            _(
                "JWT_ALGORITHM is HS256, which has no public keys: set it to EdDSA, ES256 or RS256, or remove "
                "JWT_PRIVATE_KEY, JWT_PUBLIC_KEYS and JWT_JWKS_URL"
            )
        )
    if settings.JWT_ALGORITHM != "HS256" and secrets:
        raise ValueError(
            _("JWT_SECRET and JWT_OTHER_SECRETS are for HS256: remove them, or set JWT_ALGORITHM to HS256")
        )
    if settings.JWT_JWKS_URL:
        _check_jwks(settings)
    if not settings.JWT_ACCESS_TTL <= settings.JWT_REFRESH_TTL <= settings.JWT_SESSION_TTL:
        raise ValueError(_("JWT_ACCESS_TTL, JWT_REFRESH_TTL and JWT_SESSION_TTL must be in ascending order"))


def _check_jwks(settings: JWTSettings) -> None:
    if settings.JWT_PRIVATE_KEY or settings.JWT_PUBLIC_KEYS:
        raise ValueError(_("JWT_JWKS_URL names the keys of another issuer: remove JWT_PRIVATE_KEY and JWT_PUBLIC_KEYS"))
    if not (settings.JWT_ISSUER and settings.JWT_AUDIENCE):
        raise ValueError(_("JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE: set them to what the issuer writes"))
    url = urlsplit(settings.JWT_JWKS_URL)
    if not (url.hostname and (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK))):
        raise ValueError(
            _("JWT_JWKS_URL must begin with https://, because anyone who can change the keys can sign in as any user")
        )


def weak_jwt_secrets(settings: JWTSettings, known: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each secret that must not sign tokens: short, or of words that attackers guess."""
    named = [("JWT_SECRET", settings.JWT_SECRET)] if settings.JWT_SECRET else []
    named += [("JWT_OTHER_SECRETS", secret.get_secret_value()) for secret in settings.JWT_OTHER_SECRETS]
    for name, secret in named:
        weakness = weakness_of(secret, known=(settings.SERVER_NAME, "jwt", *known))
        if weakness or len(secret.encode()) < MIN_SECRET:
            reason = _("consists of common words, sequences or repetitions")
            if weakness != "predictable":
                reason = _("has fewer than {size} bytes", size=MIN_SECRET)
            yield _("{name} {reason}. Generate a strong one: {command}", name=name, reason=reason, command=HOW_TO_MAKE)
