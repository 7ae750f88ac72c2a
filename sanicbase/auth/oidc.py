"""OpenID Connect: a provider that is described by its address (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sanicbase.auth.external import Identity, SignInAttempt
from sanicbase.errors import ConfigError, ResourceError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.i18n import gettext
from sanicbase.i18n import gettext_noop as _

__all__ = ["OpenIDProvider"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ALGORITHMS = ("RS256", "ES256", "PS256", "EdDSA")  # never HMAC, whose key the client would share
TIMEOUT = 10.0  # seconds
FRESH = 3600.0  # seconds for which the description of the provider is used
LEEWAY = 60  # seconds
REFUSED = _("The provider did not confirm the sign-in. Begin again.")


class OpenIDProvider:
    """A provider of OpenID Connect, such as Google, Microsoft Entra or Keycloak, with the authorization code flow and
    PKCE:

        company = OpenIDProvider(
            "https://login.example.com", client_id="shop", client_secret=config.COMPANY_SECRET,
            redirect_uri="https://shop.example.com/signed-in",
        )

    The subject of the identity is that of the ID token, whose signature, issuer, audience, times and nonce are checked;
    its claims are in `Identity.claims`. `redirect_uri` is a page of your front end. Raises ConfigError without Authlib,
    and for an issuer without TLS.
    """

    def __init__(
        self, issuer: str, *, client_id: str, client_secret: str, redirect_uri: str, scope: str = "openid email"
    ) -> None:
        url = urlsplit(issuer)
        if (
            not url.hostname
            or url.scheme not in ("http", "https")
            or (url.scheme == "http" and url.hostname not in LOOPBACK)
        ):
            raise ConfigError(
                gettext(
                    "The issuer {issuer!r} must begin with https://, because its keys decide who signs in.",
                    issuer=issuer,
                )
            )
        try:
            self._httpx = importlib.import_module("httpx2")
            self._client = importlib.import_module("authlib.integrations.httpx_client").AsyncOAuth2Client
            self._oauth_error = importlib.import_module("authlib.integrations.base_client").OAuthError
            self._jwt = importlib.import_module("joserfc.jwt")
            self._jwk = importlib.import_module("joserfc.jwk")
            self._jose_error = importlib.import_module("joserfc.errors").JoseError
        except ImportError as exc:
            raise ConfigError(
                gettext("OpenID Connect needs Authlib: {command}", command="pip install 'sanicbase[oidc]'")
            ) from exc
        self._issuer = issuer
        self._client_id = client_id
        self._options = {
            "client_id": client_id,
            "client_secret": client_secret,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "code_challenge_method": "S256",
            "timeout": TIMEOUT,
        }
        self._metadata: Mapping[str, Any] = {}
        self._fetched = 0.0

    async def url(self, attempt: SignInAttempt) -> str:
        """The address of its page. Raises ResourceError when the provider does not answer."""
        metadata = await self._described()
        async with self._client(**self._options) as client:
            url, _state = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return str(url)

    async def identity(self, code: str, attempt: SignInAttempt) -> Identity:
        """Exchange the code for an ID token, and check it. Raises InvalidCredentials, and ResourceError when the
        provider does not answer."""
        metadata = await self._described()
        try:
            async with self._client(**self._options) as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"],
                    code=code,
                    code_verifier=attempt.verifier,
                    grant_type="authorization_code",
                )
            keys = self._jwk.KeySet.import_key_set(await self._json(metadata["jwks_uri"]))
            claims = self._checked(str(token.get("id_token", "")), keys, attempt.nonce)
        except (self._oauth_error, self._jose_error) as exc:
            raise InvalidCredentials(REFUSED) from exc
        except (self._httpx.HTTPError, ValueError, KeyError) as exc:
            raise self._unreachable() from exc
        return Identity(self._issuer, str(claims["sub"]), claims)

    def _checked(self, id_token: str, keys: Any, nonce: str) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7)."""
        claims: dict[str, Any] = self._jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims
        required = {"essential": True}
        self._jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss=required | {"value": self._issuer},
            aud=required | {"value": self._client_id},
            nonce=required | {"value": nonce},
            sub=required,
            exp=required,
            iat=required,
        ).validate(claims)
        if claims.get("azp", self._client_id) != self._client_id:
            raise InvalidCredentials(REFUSED)
        return claims

    async def _described(self) -> Mapping[str, Any]:
        """The provider's description of itself, which must name it as the issuer."""
        if not self._metadata or time.monotonic() - self._fetched > FRESH:
            try:
                metadata = await self._json(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                is_own = metadata["issuer"] == self._issuer
            except (self._httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
                raise self._unreachable() from exc
            if not is_own:
                raise self._unreachable()
            self._metadata, self._fetched = metadata, time.monotonic()
        return self._metadata

    async def _json(self, url: str) -> Any:
        async with self._httpx.AsyncClient(timeout=TIMEOUT) as client:
            response = await client.get(url)
            response.raise_for_status()
            return response.json()

    def _unreachable(self) -> ResourceError:
        return ResourceError(f"The provider {self._issuer} does not answer as OpenID Connect prescribes.")
