"""Tokens: sign-in, refresh, sign-out, and authentication of requests."""

from __future__ import annotations

from pydantic import BaseModel

from sanicbase.auth.access_token import MAX_TEXT, AccessToken, AccessTokens
from sanicbase.auth.audit import record_audit
from sanicbase.auth.bearer import TICKET, bearer_token, has_ticket, offered_token
from sanicbase.auth.keys import LocalKeys, keys_of
from sanicbase.auth.sessions import Device, Sessions
from sanicbase.config import Config
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import gettext_noop as _

__all__ = ["TokenPair", "Tokens"]

ENDED = _("The session has ended. Sign in again.")
NO_SUBPROTOCOL = _("Authentication is required. Offer the subprotocol bearer, followed by a token.")
NOT_A_TICKET = _("The ticket is not valid, or was used before.")
NOT_A_REFRESH_TOKEN = _("The refresh token is not valid. Sign in again.")


class TokenPair(BaseModel):
    """What a client gets when it signs in or refreshes (RFC 6749, 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105  (the name of a scheme)
    expires_in: int
    """The lifetime of the access token in seconds."""
    refresh_token: str


class Tokens:
    """The tokens of a service, by the JWT settings. Create one when the service is imported:

        tokens = Tokens(config)

        class BaseAPI(APIView):
            @classmethod
            async def admit(cls, request: Request) -> UserRC | None:
                token = await tokens.authenticate(request)
                return await UserRC.get(int(token.subject))

    An access token is short-lived and signed; a refresh token is random and is used once. Both belong to a session,
    which is in Redis: a session that has ended is refused by all workers from the next request on. While Redis does not
    respond, ResourceError (503) is raised, because sessions cannot be checked.

    `connection` names the Redis. Raises ConfigError for settings that are not safe, with the remedy.
    """

    def __init__(self, config: Config, *, connection: str = "default") -> None:
        self._keys = keys_of(config)
        self.service = config.SERVER_NAME
        """The name of the service that issues them."""
        self._lifetime = config.JWT_ACCESS_TTL
        self._access = AccessTokens(
            self._keys,
            algorithm=config.JWT_ALGORITHM,
            issuer=config.JWT_ISSUER or config.SERVER_NAME,
            audience=config.JWT_AUDIENCE or config.SERVER_NAME,
            kind=config.JWT_TYPE,
            leeway=config.JWT_LEEWAY,
        )
        self.session_lifetime = config.JWT_SESSION_TTL
        """The seconds after which a session ends in any case."""
        self._has_sessions = self._keys.signs  # those of another issuer are in its own Redis
        self._sessions = Sessions(connection, idle=config.JWT_REFRESH_TTL, lifetime=config.JWT_SESSION_TTL)

    async def sign_in(self, user: object, *, device: str = "") -> TokenPair:
        """Create a session for that user, whose key is stored as text. Verify the password before.

        `device` is what the list of devices shows, such as the User-Agent. A user has at most 50 sessions; another one
        ends the least recently used session.
        """
        subject = _subject(user)
        session, refresh_token = await self._sessions.create(subject, device)
        await record_audit("signed_in", user=subject, session=session)
        return self._pair(subject, session, refresh_token)

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Exchange a refresh token for a new pair. If a token is used several times, exactly one call succeeds.

        A token that was used before ends its session. Raises InvalidCredentials.
        """
        outcome, subject, session, following = await self._sessions.refresh(refresh_token)
        if outcome == "refreshed":
            return self._pair(subject, session, following)
        if outcome == "reused":
            await record_audit("refresh_reused", user=subject, session=session)
        raise InvalidCredentials(NOT_A_REFRESH_TOKEN)

    async def authenticate(self, request: AnyRequest, *, scheme: str = "Bearer") -> AccessToken:
        """The verified token of a request, whose session has not ended. Call it in `admit`, for views and for
        WebSockets.

        The token is in the header Authorization. In the handshake of a WebSocket, it may also be a subprotocol, or a
        `ticket` in the query, as browsers send them. Raises InvalidCredentials, and ResourceError when Redis or the
        address of the issuer's keys does not respond.
        """
        if has_ticket(request):
            return await self.authenticate_ticket(request)
        return await self.verify(bearer_token(request, scheme=scheme))

    async def verify(self, access_token: str) -> AccessToken:
        """Verify a token and its session. Raises the same errors as `authenticate`."""
        token = await self._access.read(access_token, has_session=self._has_sessions)
        if self._has_sessions and await self._sessions.user(token.session) != token.subject:
            raise InvalidCredentials(ENDED)
        return token

    async def ticket(self, token: AccessToken) -> str:
        """A ticket with which the owner of that token opens a WebSocket, once within half a minute.

        It is for browsers, which cannot send the header Authorization with a handshake. A used ticket is worthless, so
        it may be part of a URL: `new WebSocket(url + "?ticket=" + ticket)`.
        """
        return await self._sessions.create_ticket(token.session, f"{token.expires_at!r} {token.subject}")

    async def authenticate_subprotocol(self, request: AnyRequest) -> AccessToken:
        """The token that a browser offers with a handshake: `new WebSocket(url, ["bearer", token])`. Others are not
        accepted. Raises as `authenticate`."""
        token = offered_token(request)
        if token is None:
            raise InvalidCredentials(NO_SUBPROTOCOL, error=None)
        return await self.verify(token)

    async def create_cookie(self, user: object, *, device: str = "") -> str:
        """Begin a session of that user, as `sign_in` does, for a browser. Returns the value of its cookie.

        `SessionCookies` sets it. Such a session has no tokens: it is extended by being used.
        """
        subject = _subject(user)
        session, cookie = await self._sessions.create_for_cookie(subject, device)
        await record_audit("signed_in", user=subject, session=session)
        return cookie

    async def verify_cookie(self, cookie: str) -> AccessToken:
        """The session of a cookie, with its end and without claims. Raises as `authenticate`."""
        used = await self._sessions.use_cookie(cookie)
        if used is None:
            raise InvalidCredentials(ENDED)
        session, subject, ends = used
        return AccessToken(subject, session, ends, {})

    async def authenticate_ticket(self, request: AnyRequest, *, name: str = TICKET) -> AccessToken:
        """The token for which the ticket in the query was issued. Raises the same errors as `authenticate`.

        The session is checked. The claims are empty.
        """
        tickets = request.args.getlist(name, [])
        used = await self._sessions.use_ticket(tickets[0]) if len(tickets) == 1 else None
        if used is None:
            raise InvalidCredentials(NOT_A_TICKET)
        session, value = used
        expires_at, subject = value.split(" ", 1)
        if await self._sessions.user(session) != subject:
            raise InvalidCredentials(ENDED)
        return AccessToken(subject, session, float(expires_at), {})

    async def sign_out(self, session: str) -> bool:
        """End a session, by `AccessToken.session` or `Device.session`. Returns False if it had ended already."""
        ended = await self._sessions.end(session)
        if ended:
            await record_audit("signed_out", session=session)
        return ended

    async def sign_out_everywhere(self, user: object, *, keep: str = "") -> int:
        """End all sessions of a user, except the one to keep, for example when the password changes. Returns their
        number."""
        ended = await self._sessions.end_all(str(user), keep)
        if ended:
            await record_audit("signed_out_everywhere", user=user, ended=ended)
        return ended

    async def devices(self, user: object) -> list[Device]:
        """The sessions of a user."""
        return await self._sessions.list(str(user))

    async def knows_device(self, user: object, device: str) -> bool:
        """Whether `remember_device` was called for that device of a user, such as its User-Agent, within
        JWT_SESSION_TTL. The latest 50 are kept."""
        return await self._sessions.knows_device(str(user), device)

    async def remember_device(self, user: object, device: str) -> None:
        """Remember a device from which a user has signed in."""
        await self._sessions.remember_device(str(user), device)

    def published_keys(self) -> dict[str, object]:
        """The public keys that other services verify these tokens with, as a JWKS (RFC 7517)."""
        return {"keys": self._keys.published() if isinstance(self._keys, LocalKeys) else []}

    def _pair(self, subject: str, session: str, refresh_token: str) -> TokenPair:
        access_token = self._access.write(subject, session, self._lifetime)
        return TokenPair(access_token=access_token, expires_in=round(self._lifetime), refresh_token=refresh_token)


def _subject(user: object) -> str:
    subject = str(user)
    if not 0 < len(subject) <= MAX_TEXT or not subject.isprintable():
        raise ValueError(f"A user must be a printable text of 1 to {MAX_TEXT} characters, such as a key.")
    return subject
