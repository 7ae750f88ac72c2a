"""A service with accounts, whose tokens are sent by a job."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from sanic import Blueprint
from tortoise import fields

from sanicbase import (
    AccessToken,
    AccountEvent,
    Accounts,
    APIKey,
    App,
    AuditRecord,
    Config,
    DBModel,
    InvalidCredentials,
    OneTimeToken,
    OutboxMessage,
    Passwords,
    Request,
    SessionCookies,
    TokenReason,
    Tokens,
    create_app,
    job,
)
from tests.auth import forging

MODULE = "tests.auth.club"


class Member(DBModel):
    id = fields.IntField(primary_key=True)
    email = fields.CharField(max_length=254, unique=True)
    password_hash = fields.CharField(max_length=255, null=True)
    locked = fields.BooleanField(default=False)

    class Meta:
        table = "club_member"


class MemberToken(OneTimeToken):
    class Meta:
        table = "club_member_token"


class Outbox(OutboxMessage):
    class Meta:
        table = "club_outbox"


class ClubKey(APIKey):
    class Meta:
        table = "club_api_key"


class ClubAudit(AuditRecord):
    class Meta:
        table = "club_audit"


class ClubConfig(Config):
    SERVER_NAME = "club"

    def tortoise(self) -> dict[str, Any]:
        settings = super().tortoise()
        settings["apps"][self.SERVER_NAME]["models"] += [MODULE]
        return settings


class Me(BaseModel):
    id: int
    email: str


@job(name="send_token")
async def send_token(reason: TokenReason, account: str, token: str) -> None:
    """In place of a mail."""


@job(name="send_notice")
async def send_notice(event: AccountEvent, account: str, device: str) -> None:
    """In place of a mail."""


class ClubAccounts(Accounts[Member]):
    async def me(self, request: Request, user: AccessToken) -> Me:
        """Return the member."""
        member = await Member.get_by_pk_or_fail(user.subject)
        return Me(id=member.id, email=member.email)

    async def send_token(self, reason: TokenReason, account: str, token: str) -> None:
        await send_token.enqueue(reason=reason, account=account, token=token)

    async def notify(self, event: AccountEvent, account: str, device: str) -> None:
        await send_notice.enqueue(event=event, account=account, device=device)

    async def check_user(self, user: Member) -> None:
        if user.locked:
            raise InvalidCredentials("The account is locked.", error=None)


passwords = Passwords(memory=64, time=1)


def club(*, cookies: bool = False, **settings: Any) -> tuple[App, ClubAccounts]:
    """The app and its accounts."""
    config = ClubConfig(JWT_SECRET=forging.SECRET, **settings)
    tokens = Tokens(config)
    accounts = ClubAccounts(
        tokens,
        model=Member,
        token_model=MemberToken,
        registration=True,
        passwords=passwords,
        cookies=SessionCookies(tokens) if cookies else None,
    )
    blueprint = Blueprint("club")
    accounts.attach(blueprint, "/auth")
    return create_app(config, blueprint), accounts
