"""The keys of access tokens: those that the settings have, and those that another issuer publishes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import logging
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import jiter

from sanicbase.auth.random_token import get_or_create_token
from sanicbase.config import Config
from sanicbase.config.jwt_settings import HOW_TO_MAKE_KEY, weak_jwt_secrets
from sanicbase.config.secrets import HOW_TO_MAKE
from sanicbase.errors import ConfigError, ResourceError
from sanicbase.i18n import gettext as _

if TYPE_CHECKING:
    from jwt.algorithms import Algorithm

__all__ = ["Key", "Keys", "LocalKeys", "RemoteKeys", "keys_of"]

logger = logging.getLogger("sanicbase.auth")

PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")  # of a JWK; the private ones of a careless issuer are not read
KEY_TYPES = {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA"}
MAX_KEY_ID = 128  # characters
MAX_KEYS = 100
MAX_DOCUMENT = 256 * 1024  # bytes
FETCH_TIMEOUT = 5.0  # seconds
FRESH = 3600.0  # seconds after which keys are fetched again
COOLDOWN = 30.0  # seconds between two fetches, whatever the tokens say
STALE = 24 * 3600.0  # seconds for which keys are used while their address does not answer


@dataclass(frozen=True)
class Key:
    """A key that verifies tokens of one algorithm, and signs them where `private` is set."""

    key_id: str
    algorithm: Algorithm
    public: Any
    private: Any = None

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is that of the message."""
        return self.algorithm.verify(message, self.public, signature)

    def sign(self, message: bytes) -> bytes:
        """The signature of the message."""
        return self.algorithm.sign(message, self.private)


class Keys(Protocol):
    """Keys by their identifiers."""

    @property
    def signs(self) -> bool:
        """Whether one of them signs tokens. If not, another issuer does."""
        ...

    @property
    def signing(self) -> Key | None:
        """The key that signs tokens."""
        ...

    async def get(self, key_id: str) -> Key | None:
        """The key with that identifier. Raises ResourceError when keys cannot be fetched."""
        ...


def keys_of(config: Config) -> Keys:
    """The keys that the settings name. Raises ConfigError, with the remedy, for missing, weak and invalid keys."""
    algorithm = _algorithm(config.JWT_ALGORITHM)
    if config.JWT_JWKS_URL:
        return RemoteKeys(config.JWT_JWKS_URL, config.JWT_ALGORITHM, algorithm)
    return LocalKeys(config, algorithm)


def _algorithm(name: str) -> Algorithm:
    try:
        jwt = importlib.import_module("jwt")
        algorithm: Algorithm = jwt.get_algorithm_by_name(name)
    except (ImportError, NotImplementedError) as exc:
        raise ConfigError(_("Tokens need PyJWT: {command}", command="pip install 'sanicbase[jwt]'")) from exc
    return algorithm


class LocalKeys:
    """The keys in the settings. The first signs; a token names its key, and a key that is not listed verifies none.

    The identifier of a key is its digest, so services that share a key use the same one.
    """

    def __init__(self, config: Config, algorithm: Algorithm) -> None:
        self._config = config
        self._algorithm = algorithm
        self._prefix = config.env_prefix()
        self._keys: dict[str, Key] | None = None
        if config.JWT_ALGORITHM == "HS256":
            self._check_secrets()
        else:
            self._keys = self._pairs()

    def _check_secrets(self) -> None:
        """Raises ConfigError for weak secrets, and outside dev for a missing one."""
        config = self._config
        weak = [f"{self._prefix}{sentence}" for sentence in weak_jwt_secrets(config)]
        if config.ENV != "dev" and not config.JWT_SECRET:
            name = f"{self._prefix}JWT_SECRET"
            weak = [_("{name} is not set. Generate a secret: {command}", name=name, command=HOW_TO_MAKE), *weak]
        if weak:
            raise ConfigError("\n".join(weak))

    @property
    def signs(self) -> bool:
        """Whether one of them signs tokens."""
        return self._config.JWT_ALGORITHM == "HS256" or bool(self._config.JWT_PRIVATE_KEY)

    @property
    def signing(self) -> Key | None:
        """The key that signs tokens."""
        return next((key for key in self._loaded().values() if key.private is not None), None)

    async def get(self, key_id: str) -> Key | None:
        """The key with that identifier."""
        return self._loaded().get(key_id)

    def published(self) -> list[dict[str, Any]]:
        """The public keys as JWKs (RFC 7517); none for a secret."""
        if self._config.JWT_ALGORITHM == "HS256":
            return []
        use = {"use": "sig", "alg": self._config.JWT_ALGORITHM}
        return [{**_jwk(key.algorithm, key.public), **use, "kid": key.key_id} for key in self._loaded().values()]

    def _loaded(self) -> dict[str, Key]:
        if self._keys is None:
            self._keys = self._secrets()
        return self._keys

    def _secrets(self) -> dict[str, Key]:
        secret = self._config.JWT_SECRET
        if not secret:  # in dev only, see check
            file = self._config.private_dir() / f"{self._config.SERVER_NAME}.jwt-secret"
            secret, _created = get_or_create_token(file, setting=f"{self._prefix}JWT_SECRET")
        others = [other.get_secret_value() for other in self._config.JWT_OTHER_SECRETS]
        keys = [self._secret_key(text, signs=text == secret) for text in (secret, *others)]
        return {key.key_id: key for key in reversed(keys)}

    def _secret_key(self, secret: str, *, signs: bool) -> Key:
        prepared = self._algorithm.prepare_key(secret)
        key_id = hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:16]
        return Key(key_id, self._algorithm, prepared, prepared if signs else None)

    def _pairs(self) -> dict[str, Key]:
        config = self._config
        keys: list[Key] = []
        if config.JWT_PRIVATE_KEY:
            private = self._pem("JWT_PRIVATE_KEY", config.JWT_PRIVATE_KEY)
            if not hasattr(private, "public_key"):
                raise ConfigError(
                    _("{prefix}JWT_PRIVATE_KEY is a public key. Set the private one.", prefix=self._prefix)
                )
            keys.append(self._pair(private.public_key(), private))
        for text in config.JWT_PUBLIC_KEYS:
            public = self._pem("JWT_PUBLIC_KEYS", text)
            if hasattr(public, "public_key"):
                raise ConfigError(
                    _("{prefix}JWT_PUBLIC_KEYS has a private key. Set the public one.", prefix=self._prefix)
                )
            keys.append(self._pair(public, None))
        if not keys:
            raise ConfigError(
                _(
                    "{algorithm} needs {prefix}JWT_PRIVATE_KEY or {prefix}JWT_PUBLIC_KEYS. Generate a private key: "
                    "{command}",
                    algorithm=config.JWT_ALGORITHM,
                    prefix=self._prefix,
                    command=HOW_TO_MAKE_KEY[config.JWT_ALGORITHM],
                )
            )
        return {key.key_id: key for key in reversed(keys)}

    def _pair(self, public: Any, private: Any) -> Key:
        return Key(_thumbprint(_jwk(self._algorithm, public)), self._algorithm, public, private)

    def _pem(self, setting: str, text: str) -> Any:
        algorithm, name = self._config.JWT_ALGORITHM, f"{self._prefix}{setting}"
        command = HOW_TO_MAKE_KEY[algorithm]
        try:
            key = self._algorithm.prepare_key(text.replace("\\n", "\n"))  # a PEM on one line, as some platforms pass it
            problem = self._algorithm.check_key_length(key)
        except Exception as exc:  # PyJWT and cryptography raise errors of many kinds
            raise ConfigError(
                _(
                    "{name} is not a key for {algorithm} in PEM. Generate a private key: {command}",
                    name=name,
                    algorithm=algorithm,
                    command=command,
                )
            ) from exc
        if problem:
            raise ConfigError(_("{name} is too short. Generate a private key: {command}", name=name, command=command))
        return key


class RemoteKeys:
    """The public keys that another issuer publishes. They are fetched with the first token, every hour, and when a
    token names an unknown key, but at most every 30 seconds."""

    signs = False
    signing: Key | None = None

    def __init__(self, url: str, name: str, algorithm: Algorithm) -> None:
        self._url = url
        self._name = name
        self._algorithm = algorithm
        self._keys: dict[str, Key] = {}
        self._fetched = self._tried = -STALE
        self._fetching: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> Key | None:
        """The key with that identifier. Raises ResourceError when the address has not responded for too long."""
        now = time.monotonic()
        wanted = key_id not in self._keys or now - self._fetched > FRESH
        if wanted and now - self._tried > COOLDOWN:
            self._tried = now
            self._fetching = asyncio.create_task(self._fetch(now), name="keys of another issuer")
        if wanted and self._fetching is not None and not self._fetching.done():
            await asyncio.shield(self._fetching)  # it does not end with the client that has caused it
        if time.monotonic() - self._fetched > STALE or (key_id not in self._keys and self._fetched < self._tried):
            raise ResourceError(f"The keys at {self._url} cannot be fetched. Check JWT_JWKS_URL.")
        return self._keys.get(key_id)

    async def _fetch(self, started: float) -> None:
        try:
            document = await asyncio.to_thread(_read, self._url)
            self._keys = self._parse(document)
        except (OSError, ValueError) as exc:
            logger.warning("The keys at %s cannot be fetched: %r.", self._url, exc)
            return
        self._fetched = started

    def _parse(self, document: bytes) -> dict[str, Key]:
        parsed = jiter.from_json(document)
        if not isinstance(parsed, dict) or not isinstance(listed := parsed.get("keys"), list):
            raise ValueError("it is not a JWKS")
        keys = (self._key(jwk) for jwk in listed[:MAX_KEYS] if isinstance(jwk, dict))
        return {key.key_id: key for key in keys if key is not None}

    def _key(self, jwk: Mapping[str, Any]) -> Key | None:
        """The key, or None if it is invalid or has another use or algorithm."""
        key_id = jwk.get("kid")
        if not (isinstance(key_id, str) and 0 < len(key_id) <= MAX_KEY_ID and jwk.get("kty") == KEY_TYPES[self._name]):
            return None
        if jwk.get("use", "sig") != "sig" or jwk.get("alg", self._name) != self._name:
            return None
        try:
            public = self._algorithm.from_jwk({name: jwk[name] for name in PUBLIC_MEMBERS if name in jwk})
            public = self._algorithm.prepare_key(public)
        except Exception as exc:
            logger.warning("A key at %s cannot be read: %r.", self._url, exc)
            return None
        if self._algorithm.check_key_length(public):
            logger.warning("A key at %s is too short.", self._url)
            return None
        return Key(key_id, self._algorithm, public)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: keys come only from the address in the settings."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _read(url: str) -> bytes:
    """The document at that address. Raises OSError."""
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=FETCH_TIMEOUT) as response:
        document: bytes = response.read(MAX_DOCUMENT + 1)
    if len(document) > MAX_DOCUMENT:
        raise OSError("the document is too large")
    return document


def _jwk(algorithm: Algorithm, public: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = algorithm.to_jwk(public, as_dict=True)
    return {name: jwk[name] for name in PUBLIC_MEMBERS if name in jwk}


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """The thumbprint of a key (RFC 7638)."""
    members: Iterable[str] = sorted(jwk)
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in members) + "}"
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
