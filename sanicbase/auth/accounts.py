"""Accounts: the routes with which users register, sign in and out, and change their passwords.

Responses do not reveal which accounts exist. Registration and a forgotten password get a 202 in either case, after the
same work: a row, and a job that sends the token or, for an unknown account, nothing. A sign-in takes as long for an
unknown account as for a wrong password.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticCustomError
from sanic import Blueprint
from sanic.exceptions import NotFound

from sanicbase.auth.access_token import AccessToken
from sanicbase.auth.account_bodies import (
    AccountBody,
    ChangePasswordBody,
    ChoosePasswordBody,
    RefreshBody,
    SignedInDevice,
    SignInBody,
    Ticket,
)
from sanicbase.auth.account_events import AccountEvent, TokenReason
from sanicbase.auth.account_rows import AccountRows
from sanicbase.auth.audit import record_audit
from sanicbase.auth.common_passwords import is_common
from sanicbase.auth.cookies import SessionCookies
from sanicbase.auth.passwords import Passwords
from sanicbase.auth.tables import MAX_ACCOUNT, OneTimeToken
from sanicbase.auth.tokens import TokenPair, Tokens
from sanicbase.config.secrets import count_unpredictable
from sanicbase.db import DBModel, on_commit, transaction
from sanicbase.http.declared_errors import raises
from sanicbase.http.errors.exceptions import CODES, FieldError, InvalidCredentials, InvalidParameters
from sanicbase.http.limits import RateLimit, SignInBrake
from sanicbase.http.request import AnyRequest, Request
from sanicbase.http.responses import response_headers
from sanicbase.http.return_types import Accepted, NoContent
from sanicbase.http.views import endpoint
from sanicbase.i18n import gettext_noop as _
from sanicbase.log import set_log_context
from sanicbase.server.context import App

__all__ = ["Accounts"]

User = TypeVar("User", bound=DBModel)

# Without the specials of a header (RFC 5322, 3.2.3): `a<ann@example.org>` would be another account of the same mailbox.
ADDRESS = re.compile(r'[^@\s()<>\[\]:;,"\\]+@[^@\s()<>\[\]:;,"\\]+')
MIN_UNPREDICTABLE = 5  # characters outside of common words, sequences and repetitions
REFUSED = _("The account or the password is wrong.")
NOT_A_TOKEN = _("The token is not valid, or was used before.")
NO_USER = _("The user does not exist.")


class Accounts(Generic[User]):
    """The routes of users' accounts, for a model with a column for the account and one for the password's hash:

        class ShopAccounts(Accounts[User]):
            async def me(self, request: Request, user: AccessToken) -> UserRC:
                return await UserRC.get_or_404(int(user.subject))

            async def send_token(self, reason: TokenReason, account: str, token: str) -> None:
                await send_mail.enqueue(reason=reason, account=account, token=token)

        accounts = ShopAccounts(tokens, model=User, token_model=UserToken)
        accounts.attach(http, "/auth")

    `account` and `password_hash` name the columns; the latter may be NULL for a user without a password. Without
    `registration`, nobody can register. With `cookies`, users sign in by a cookie in place of tokens. A token that was
    sent is valid for `token_lifetime` seconds. Raises ConfigError for a model without these columns.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        model: type[User],
        token_model: type[OneTimeToken],
        account: str = "email",
        password_hash: str = "password_hash",  # noqa: S107  (a column)
        registration: bool = False,
        token_lifetime: float = 1800.0,
        passwords: Passwords | None = None,
        cookies: SessionCookies | None = None,
        brake: SignInBrake | None = None,
    ) -> None:
        self.tokens = tokens
        self.passwords = passwords or Passwords()
        self.cookies = cookies
        self._rows = AccountRows(model, account=account, password_hash=password_hash)
        self._token_model = token_model
        self._registration = registration
        self._token_lifetime = token_lifetime
        self._brake = brake or SignInBrake()
        self._token_brake = SignInBrake(by_account="5 per hour", by_address="30 per hour", name="account-token")
        self._change_brake = SignInBrake(name="password-change")
        self._notifies = type(self).notify is not Accounts.notify

    # What a service overrides

    async def me(self, request: Request, user: AccessToken) -> BaseModel:
        """Override to return the user who is signed in, as your own model."""
        raise NotImplementedError(f"{type(self).__name__} has no `me`. Define it, and annotate what it returns.")

    async def send_token(self, reason: TokenReason, account: str, token: str) -> None:
        """Override to enqueue a job that sends the token. It is called in the transaction that writes the token, so
        neither exists without the other. Enqueue it for every reason; otherwise the response for an unknown account is
        faster."""
        raise NotImplementedError(f"{type(self).__name__} has no `send_token`. Define it, and enqueue a job in it.")

    async def notify(self, event: AccountEvent, account: str, device: str) -> None:
        """Override to enqueue a job that tells the owner of the account. It is called in a transaction: that of the
        password, or one of its own. `device` is the User-Agent of the request. By default, nobody is told."""

    async def create_user(self, account: str, password_hash: str) -> User:
        """Override for a model with other columns that a new user needs."""
        return await self._rows.create(account, password_hash)

    async def check_user(self, user: User) -> None:
        """Override to refuse a user whose password is right, or who chooses a new one, such as a locked user: raise
        InvalidCredentials."""

    def normalize(self, account: str) -> str:
        """Override for accounts that are not e-mail addresses. It returns the same text for all spellings of an
        account. Raise ValueError, with a message, for a text that cannot be an account."""
        address = unicodedata.normalize("NFKC", account).strip().casefold()
        if ADDRESS.fullmatch(address) is None or not address.isprintable() or len(address) > MAX_ACCOUNT:
            raise _error("account_invalid")
        return address

    def check_password(self, account: str, password: str) -> None:
        """Override to add rules. Raise ValueError, with a message, for a password that can be guessed."""
        known = {self.tokens.service, account, *account.replace("@", ".").split(".")}
        if count_unpredictable(password, known=known) < MIN_UNPREDICTABLE:
            raise _error("password_predictable")
        if is_common(password):
            raise _error("password_common")

    # The routes

    def attach(self, to: App | Blueprint, prefix: str = "/auth", **options: Any) -> None:
        """Serve the routes below that prefix; `options` are those of Sanic's `add_route`, such as `version`."""
        limit = RateLimit("60 per minute")
        if (cookies := self.cookies) is None:
            anyone = endpoint(public=True, limit=limit)
            signed_in = endpoint(admit=self._admit)
            anyone(self.refresh).attach(to, f"{prefix}/refresh", methods=["POST"], **options)
            signed_in(self.ticket).attach(to, f"{prefix}/ticket", methods=["POST"], **options)
        else:
            anyone = endpoint(admit=cookies.check_origin, limit=limit, security=cookies.security)
            signed_in = endpoint(admit=self._admit, security=cookies.security)
        if self._registration:
            anyone(self.register).attach(to, f"{prefix}/register", methods=["POST"], **options)
        anyone(self.sign_in).attach(to, f"{prefix}/sign-in", methods=["POST"], **options)
        anyone(self.forgotten_password).attach(to, f"{prefix}/forgotten-password", methods=["POST"], **options)
        anyone(self.choose_password).attach(to, f"{prefix}/password", methods=["POST"], **options)
        signed_in(self.change_password).attach(to, f"{prefix}/password", methods=["PUT"], **options)
        signed_in(self.me).attach(to, f"{prefix}/me", **options)
        signed_in(self.sign_out).attach(to, f"{prefix}/sign-out", methods=["POST"], **options)
        signed_in(self.sign_out_everywhere).attach(to, f"{prefix}/sign-out-everywhere", methods=["POST"], **options)
        signed_in(self.devices).attach(to, f"{prefix}/devices", **options)
        signed_in(self.sign_out_device).attach(to, f"{prefix}/devices/<session:str>", methods=["DELETE"], **options)

    async def register(self, request: Request, body: AccountBody) -> Accepted[None]:
        """Send a token to the account, with which its owner chooses a password.

        The response is the same for an account that exists.
        """
        account = self._checked_account(body.account)
        await self._token_brake.check(account, request)
        user = await self._user_of(account)
        if user is None:
            await self._send(TokenReason.REGISTRATION, account, "")
        else:
            await self._send(TokenReason.ALREADY_REGISTERED, self._rows.account_of(user), user.pk)
        return Accepted(None)

    async def forgotten_password(self, request: Request, body: AccountBody) -> Accepted[None]:
        """Send a token to the account, with which its owner chooses a new password.

        The response is the same for an account that does not exist.
        """
        account = self._checked_account(body.account)
        await self._token_brake.check(account, request)
        user = await self._user_of(account)
        if user is None:
            await self._send(TokenReason.UNKNOWN_ACCOUNT, account, "")
        else:
            await self._send(TokenReason.FORGOTTEN_PASSWORD, self._rows.account_of(user), user.pk)
        return Accepted(None)

    @raises(InvalidCredentials)
    async def choose_password(self, request: Request, body: ChoosePasswordBody) -> TokenPair | NoContent:
        """Choose a password with a token that was sent to the account, and sign in.

        The token becomes invalid, and all other sessions of the user end.
        """
        row = await self._token_model.find(body.token)
        if row is None:
            raise InvalidCredentials(NOT_A_TOKEN)
        self._check_new_password("password", row.account, body.password)
        password_hash = await self.passwords.hash(body.password)
        async with transaction(self._rows.connection):
            if not await row.use():
                raise InvalidCredentials(NOT_A_TOKEN)
            user, created = await self._store_password(row, password_hash)
            await self.check_user(user)
            await self._token_model.forget(row.account)
            await record_audit("password_chosen", user=user.pk)
            if not created:
                await self.notify(AccountEvent.PASSWORD_CHANGED, row.account, _device(request))
            await self._end_sessions(user)
        await self.tokens.sign_out_everywhere(user.pk)
        return await self._begin_session(request, user, password_hash)

    @raises(InvalidCredentials)
    async def sign_in(self, request: Request, body: SignInBody) -> TokenPair | NoContent:
        """Sign in with a password: a pair of tokens, or a cookie where the service uses cookies."""
        account = self._normalized(body.account)
        await self._brake.check(account, request)
        user = await self._user_of(account)
        stored = None if user is None else self._rows.hash_of(user)
        check = await self.passwords.verify(body.password, stored)
        if user is None or stored is None or not check.matches:
            await self._brake.failed(account, request)
            await record_audit("sign_in_refused", user="" if user is None else user.pk)
            raise InvalidCredentials(REFUSED, error=None)
        await self.check_user(user)
        await self._brake.succeeded(account, request)
        if check.new_hash is not None:
            if not await self._rows.replace_hash(user, check.new_hash, of=stored):
                return await self.sign_in(request, body)  # another sign-in has replaced it, or the password has changed
            stored = check.new_hash
        if self._notifies and not await self.tokens.knows_device(user.pk, _device(request)):
            async with transaction(self._rows.connection):
                await self.notify(AccountEvent.NEW_DEVICE, self._rows.account_of(user), _device(request))
        return await self._begin_session(request, user, stored)

    @raises(InvalidCredentials)
    async def refresh(self, request: Request, body: RefreshBody) -> TokenPair:
        """Exchange a refresh token for a new pair. Using the same token again ends the session."""
        return _private(request, await self.tokens.refresh(body.refresh_token))

    async def ticket(self, request: Request, user: AccessToken) -> Ticket:
        """A ticket with which a browser opens a WebSocket: `new WebSocket(url + "?ticket=" + ticket)`.

        It is valid for half a minute, and once.
        """
        return Ticket(ticket=await self.tokens.ticket(user))

    async def change_password(self, request: Request, body: ChangePasswordBody, user: AccessToken) -> NoContent:
        """Change the password. All other sessions of the user end."""
        row = await self._signed_in(user)
        account = self._rows.account_of(row)
        await self._change_brake.check(user.subject, request)
        stored = self._rows.hash_of(row)
        if not (await self.passwords.verify(body.current_password, stored)).matches:
            await self._change_brake.failed(user.subject, request)
            await record_audit("password_refused", user=user.subject)
            raise _invalid("current_password", _error("password_wrong"))
        await self._change_brake.succeeded(user.subject, request)
        self._check_new_password("new_password", account, body.new_password)
        password_hash = await self.passwords.hash(body.new_password)
        async with transaction(self._rows.connection):
            if not await self._rows.replace_hash(row, password_hash, of=stored):
                raise _invalid("current_password", _error("password_wrong"))
            await self._token_model.forget(account)
            await record_audit("password_changed", user=row.pk)
            await self.notify(AccountEvent.PASSWORD_CHANGED, account, _device(request))
            await self._end_sessions(row, keep=user.session)
        await self.tokens.sign_out_everywhere(row.pk, keep=user.session)
        return NoContent()

    async def sign_out(self, request: Request, user: AccessToken) -> NoContent:
        """End the session of this request."""
        await self.tokens.sign_out(user.session)
        if self.cookies is not None:
            self.cookies.forget(request)
        return NoContent()

    async def sign_out_everywhere(self, request: Request, user: AccessToken) -> NoContent:
        """End all sessions of the user."""
        await self.tokens.sign_out_everywhere(user.subject)
        return NoContent()

    async def devices(self, request: Request, user: AccessToken) -> list[SignedInDevice]:
        """List the sessions of the user, the most recently used one first."""
        devices = [SignedInDevice.model_validate(device) for device in await self.tokens.devices(user.subject)]
        return [device.model_copy(update={"current": device.session == user.session}) for device in devices]

    @raises(NotFound)
    async def sign_out_device(self, request: Request, session: str, user: AccessToken) -> NoContent:
        """End one of the user's sessions."""
        if session not in {device.session for device in await self.tokens.devices(user.subject)}:
            raise NotFound("There is no such device.")
        await self.tokens.sign_out(session)
        return NoContent()

    # What the routes have in common

    async def _admit(self, request: AnyRequest) -> AccessToken:
        token = await (self.cookies or self.tokens).authenticate(request)
        set_log_context(user=token.subject)
        return token

    async def _begin_session(self, request: AnyRequest, user: User, password_hash: str) -> TokenPair | NoContent:
        """Sign the user in, unless the password changed while it was compared, because the change has ended only
        earlier sessions."""
        if self.cookies is not None:
            await self.cookies.sign_in(request, user.pk)
            result: TokenPair | NoContent = NoContent()
        else:
            pair = await self.tokens.sign_in(user.pk, device=_device(request))
            result = _private(request, pair)
        now = await self._rows.by_key(user.pk)
        if now is None or self._rows.hash_of(now) != password_hash:
            await self.tokens.sign_out_everywhere(user.pk)
            raise InvalidCredentials(REFUSED, error=None)
        if self._notifies:
            await self.tokens.remember_device(user.pk, _device(request))
        return result

    async def _end_sessions(self, user: User, *, keep: str = "") -> None:
        """End all sessions but one, in the transaction that changes the password: if it fails, the password stays as it
        was. Sessions that begin with the old password in the meantime end after the commit: if the client has left by
        then, as an effect of the transaction, and else by a call of the route, so that an error is a 503."""
        end = partial(self.tokens.sign_out_everywhere, user.pk, keep=keep)
        await end()
        await on_commit(end, using=self._rows.connection)

    async def _user_of(self, account: str) -> User | None:
        """The user with exactly that account. A database may consider further spellings equal, each of which would have
        limits of its own."""
        user = await self._rows.by_account(account)
        return user if user is not None and self._normalized(self._rows.account_of(user)) == account else None

    async def _send(self, reason: TokenReason, account: str, user: object) -> None:
        purpose = "registration" if reason is TokenReason.REGISTRATION else "password"
        await self._token_model.delete_expired()
        async with transaction(self._rows.connection):
            token = await self._token_model.issue(account, purpose, self._token_lifetime)
            await self.send_token(reason, account, token)
            await record_audit("token_requested", user=user, reason=reason.value)

    async def _store_password(self, row: OneTimeToken, password_hash: str) -> tuple[User, bool]:
        """Store the password of a token's user. Only a registration creates a user. Returns whether it did."""
        user = await self._rows.by_account(row.account)
        if user is None:
            if row.purpose != "registration":
                raise InvalidCredentials(NOT_A_TOKEN)
            return await self.create_user(row.account, password_hash), True
        if self._rows.account_of(user) != row.account:  # the database considers them equal, but they differ
            raise InvalidCredentials(NOT_A_TOKEN)
        await self._rows.replace_hash(user, password_hash)
        return user, False

    async def _signed_in(self, token: AccessToken) -> User:
        row = await self._rows.by_key(token.subject)
        if row is None:
            raise InvalidCredentials(NO_USER)
        return row

    def _normalized(self, account: str) -> str:
        """The normalized account. An invalid one is returned unchanged, because no account has it."""
        try:
            return self.normalize(account)
        except ValueError:
            return account

    def _checked_account(self, account: str) -> str:
        try:
            return self.normalize(account)
        except ValueError as exc:
            raise _invalid("account", exc) from exc

    def _check_new_password(self, field: str, account: str, password: str) -> None:
        try:
            self.check_password(account, password)
        except ValueError as exc:
            raise _invalid(field, exc) from exc


def _device(request: AnyRequest) -> str:
    return str(request.headers.get("user-agent", ""))


def _error(code: str) -> PydanticCustomError:
    """A ValueError whose message is translated by its code."""
    return PydanticCustomError(code, CODES[code])


def _invalid(field: str, error: ValueError) -> InvalidParameters:
    path = f"body.{field}"
    if isinstance(error, PydanticCustomError):
        return InvalidParameters([FieldError(path, error.type, error.message(), error.context or {})])
    return InvalidParameters([FieldError(path, "value_error", str(error))])


def _private(request: AnyRequest, pair: TokenPair) -> TokenPair:
    """The pair, in a response with `no-store` (RFC 6749, 5.1), because the request has no credentials yet."""
    response_headers(request)["Cache-Control"] = "no-store"
    return pair
