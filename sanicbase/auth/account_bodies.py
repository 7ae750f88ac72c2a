"""The request and response bodies of the routes of accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from sanicbase.auth.tables import MAX_ACCOUNT

__all__ = [
    "AccountBody",
    "ChangePasswordBody",
    "ChoosePasswordBody",
    "RefreshBody",
    "SignInBody",
    "SignedInDevice",
    "Ticket",
]

MIN_PASSWORD = 8  # characters (ASVS 5, 6.2.1)
MAX_PASSWORD = 256  # characters, which are at most 1024 bytes
Account = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ACCOUNT)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]
NewPassword = Annotated[str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD)]


class AccountBody(BaseModel):
    """The account of a user."""

    account: Account


class SignInBody(AccountBody):
    """The credentials of a user."""

    password: Password


class RefreshBody(BaseModel):
    """The refresh token of the latest pair."""

    refresh_token: Token


class Ticket(BaseModel):
    """What opens one WebSocket."""

    ticket: str


class ChoosePasswordBody(BaseModel):
    """A token that was sent to the account, and the new password."""

    token: Token
    password: NewPassword


class ChangePasswordBody(BaseModel):
    """The current password, and the new one."""

    current_password: Password
    new_password: NewPassword


class SignedInDevice(BaseModel):
    """A session of the user."""

    model_config = ConfigDict(from_attributes=True)

    session: str
    name: str
    signed_in_at: datetime
    last_used_at: datetime
    current: bool = False
    """Whether it is the session of this request."""
