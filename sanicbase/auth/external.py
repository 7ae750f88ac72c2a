"""Sign-in by another service: its page sends the browser back with a code, and the code stands for an identity.

The routes are two requests of the front end. The first returns the address of the provider's page; the second brings
the code that the provider has sent. What must stay the same in between is in Redis, for ten minutes and once:

| kept | against |
|---|---|
| the state, and the digest of a cookie | a page that signs a browser in with the code of somebody else |
| the verifier of PKCE (RFC 7636) | a code that was stolen on its way |
| the nonce | an ID token that was issued for another sign-in |
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, StringConstraints
from sanic import Blueprint
from sanic.exceptions import NotFound

from sanicbase.auth.audit import record_audit
from sanicbase.auth.cookies import SessionCookies
from sanicbase.auth.random_token import token_digest
from sanicbase.auth.sessions import TAKE, response_of
from sanicbase.auth.tokens import TokenPair, Tokens
from sanicbase.http.declared_errors import raises
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.limits import RateLimit
from sanicbase.http.request import Request
from sanicbase.http.responses import response_headers
from sanicbase.http.return_types import NoContent
from sanicbase.http.views import endpoint
from sanicbase.i18n import gettext_noop as _
from sanicbase.rc.clients import any_client, namespace
from sanicbase.server.context import App

__all__ = ["CodeProvider", "ExternalSignIn", "Identity", "Provider", "SignInAttempt", "SignInPage"]

COOKIE = "__Host-sign-in"
LIFETIME = 600  # seconds from the first request to the second
NOT_BEGUN = _("This sign-in was not begun in this browser, or has expired. Begin again.")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at a provider. Find your user by `issuer` and `subject` together: another provider may have the
    same subject, and an address proves nothing unless the provider has verified it."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """What belongs to one sign-in, from its first request to its second."""

    state: str
    nonce: str
    verifier: str


class Provider(Protocol):
    """A service that knows who somebody is."""

    async def url(self, attempt: SignInAttempt) -> str:
        """The address of its page."""
        ...

    async def identity(self, code: str, attempt: SignInAttempt) -> Identity:
        """The identity behind a code. Raises InvalidCredentials for a code that is not valid."""
        ...


class CodeProvider:
    """A provider with a protocol of its own, such as WeChat: the address of its page, which gets the `state`, and a
    function from the code to the identity."""

    def __init__(self, url: str, identify: Callable[[str], Awaitable[Identity]]) -> None:
        self._url = url
        self._identify = identify

    async def url(self, attempt: SignInAttempt) -> str:
        """The address of its page, before its fragment."""
        address, mark, fragment = self._url.partition("#")
        separator = "&" if "?" in address else "?"
        return f"{address}{separator}{urlencode({'state': attempt.state})}{mark}{fragment}"

    async def identity(self, code: str, attempt: SignInAttempt) -> Identity:
        """What the function returns."""
        return await self._identify(code)


class SignInPage(BaseModel):
    """Where the browser goes to sign in."""

    url: str


class CodeBody(BaseModel):
    """What the provider has appended to the address of your page."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    state: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class ExternalSignIn:
    """The routes by which users sign in at providers:

        sign_in = ExternalSignIn(tokens, {"company": OpenIDProvider(…)}, user_of)
        sign_in.attach(http, "/auth/with")

    `user_of` returns the key of the user who has an identity, and may create the user. It raises InvalidCredentials to
    refuse one. With `cookies`, users get a session cookie in place of tokens. `connection` names the Redis.
    """

    def __init__(
        self,
        tokens: Tokens,
        providers: Mapping[str, Provider],
        user_of: Callable[[Identity], Awaitable[object]],
        *,
        cookies: SessionCookies | None = None,
        connection: str = "default",
    ) -> None:
        self._tokens = tokens
        self._providers = dict(providers)
        self._user_of = user_of
        self._cookies = cookies
        self._connection = connection

    def attach(self, to: App | Blueprint, prefix: str = "/auth/with", **options: Any) -> None:
        """Serve the routes below that prefix; `options` are those of Sanic's `add_route`."""
        limit = RateLimit("60 per minute")
        anyone = (
            endpoint(public=True, limit=limit)
            if self._cookies is None
            else endpoint(admit=self._cookies.check_origin, limit=limit, security=self._cookies.security)
        )
        anyone(self.begin_sign_in).attach(to, f"{prefix}/<provider:str>/begin", methods=["POST"], **options)
        anyone(self.finish_sign_in).attach(to, f"{prefix}/<provider:str>", methods=["POST"], **options)

    @raises(NotFound)
    async def begin_sign_in(self, request: Request, provider: str) -> SignInPage:
        """Begin a sign-in at a provider. Send the browser to the address, and keep the cookie."""
        attempt = SignInAttempt(*(secrets.token_urlsafe(32) for _ in range(3)))
        url = await self._provider(provider).url(attempt)
        cookie = secrets.token_urlsafe(32)
        kept = [provider, token_digest(cookie), attempt.nonce, attempt.verifier]
        redis = any_client(self._connection)
        await response_of(redis.set(_key(attempt.state), orjson.dumps(kept), ex=LIFETIME))
        _set_cookie(request, cookie, LIFETIME)
        return SignInPage(url=url)

    @raises(NotFound, InvalidCredentials)
    async def finish_sign_in(self, request: Request, provider: str, body: CodeBody) -> TokenPair | NoContent:
        """Sign in with the code that the provider has sent: a pair of tokens, or a cookie."""
        attempt = await self._attempt(request, provider, body.state)
        try:
            identity = await self._provider(provider).identity(body.code, attempt)
            user = await self._user_of(identity)
        except InvalidCredentials:
            await record_audit("sign_in_refused", provider=provider)
            raise
        _set_cookie(request, "", 0)
        if self._cookies is not None:
            await self._cookies.sign_in(request, user)
            return NoContent()
        response_headers(request)["Cache-Control"] = "no-store"
        return await self._tokens.sign_in(user, device=request.headers.get("user-agent", ""))

    async def _attempt(self, request: Request, provider: str, state: str) -> SignInAttempt:
        """The attempt that this browser has begun with that provider; it is used up."""
        redis = any_client(self._connection)
        kept = await response_of(redis.eval(TAKE, 1, _key(state)))
        cookies = request.cookies.getlist(COOKIE) or []
        if kept is None or len(cookies) != 1:
            raise InvalidCredentials(NOT_BEGUN)
        begun_at, digest, nonce, verifier = orjson.loads(kept)
        if begun_at != provider or not hmac.compare_digest(digest, token_digest(cookies[0])):
            raise InvalidCredentials(NOT_BEGUN)
        return SignInAttempt(state, nonce, verifier)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise NotFound("There is no such provider.")
        return self._providers[name]


def _key(state: str) -> str:
    return f"{namespace()}:auth:sign-in:{token_digest(state)}"


def _set_cookie(request: Request, value: str, lifetime: int) -> None:
    attributes = f"Path=/; Max-Age={lifetime}; Secure; HttpOnly; SameSite=Lax"
    response_headers(request).add("Set-Cookie", f"{COOKIE}={value}; {attributes}")
