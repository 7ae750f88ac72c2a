"""The tables of users' tokens, of API keys and of the audit trail, as models to subclass in a file of MODEL_LIST.

A migration or a script that imports them imports nothing of HTTP.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from tortoise import fields, timezone

from sanicbase.auth.random_token import token_digest
from sanicbase.db import DBModel, use_primary

__all__ = ["MAX_ACCOUNT", "MAX_NAME", "MAX_TEXT", "APIKey", "AuditRecord", "OneTimeToken"]

MAX_ACCOUNT = 254  # characters, as in an e-mail address (RFC 5321, 4.5.3.1)
MAX_NAME = 100  # characters
MAX_TEXT = 255  # characters
PURPOSES = ("registration", "password")
KEEP = timedelta(days=1)  # of an expired token


class OneTimeToken(DBModel):
    """The tokens with which users choose a password. Subclass it in a file of MODEL_LIST, so that the service's
    migrations create its table:

        class UserToken(OneTimeToken):
            class Meta:
                table = "shop_user_token"

    An account has one token for each purpose: a new one replaces it. The table contains only digests.
    """

    id = fields.CharField(max_length=64, primary_key=True)
    """The digest of the account and the purpose, because a database may consider two similar accounts equal."""
    account = fields.CharField(max_length=MAX_ACCOUNT)
    purpose = fields.CharField(max_length=20)
    digest = fields.CharField(max_length=64, db_index=True)
    expires_at = fields.DatetimeField(db_index=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True

    @classmethod
    async def issue(cls, account: str, purpose: str, lifetime: float) -> str:
        """Create a token of that account, valid for `lifetime` seconds. Call it in the transaction whose job sends
        it."""
        token = secrets.token_urlsafe(32)
        values = {
            "id": cls._key(account, purpose),
            "account": account,
            "purpose": purpose,
            "digest": token_digest(token),
            "expires_at": timezone.now() + timedelta(seconds=lifetime),
        }
        await cls.upsert(values, on=["id"])
        return token

    @classmethod
    async def find(cls, token: str) -> Self | None:
        """The row of a valid token; None for any other text."""
        with use_primary():
            return await cls.get_or_none(digest=token_digest(token), expires_at__gt=timezone.now())

    async def use(self) -> bool:
        """Use the token. Of several concurrent calls, one returns True, if its transaction commits."""
        where = {"id": self.id, "digest": self.digest, "expires_at__gt": timezone.now()}
        return await type(self).delete_by(where) == 1

    @classmethod
    async def forget(cls, account: str) -> None:
        """Delete the tokens of that account."""
        for purpose in PURPOSES:
            await cls.delete_by({"id": cls._key(account, purpose)})

    @staticmethod
    def _key(account: str, purpose: str) -> str:
        return sha256(f"{purpose} {account}".encode()).hexdigest()

    @classmethod
    async def delete_expired(cls) -> int:
        """Delete the rows that expired more than a day ago. Returns their number."""
        return await cls.delete_by({"expires_at__lt": timezone.now() - KEEP})


class APIKey(DBModel):
    """The API keys of a service. Subclass it in a file of MODEL_LIST, so that the service's migrations create its
    table:

        class ShopKey(APIKey):
            class Meta:
                table = "shop_api_key"
    """

    id = fields.CharField(max_length=16, primary_key=True)
    """The public part of the key, for lists and logs."""
    digest = fields.CharField(max_length=64)
    owner = fields.CharField(max_length=255, db_index=True)
    """Whose key it is: a service, or the key of a user."""
    name = fields.CharField(max_length=MAX_NAME)
    """What it is for, as its owner calls it."""
    scopes: Any = fields.JSONField()
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)
    """To the minute."""

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True


class AuditRecord(DBModel):
    """The audit trail as rows. Subclass it in a file of MODEL_LIST, so that the service's migrations create its table
    and each event is written to it:

        class ShopAudit(AuditRecord):
            class Meta:
                table = "shop_audit"
    """

    id = fields.BigIntField(primary_key=True)
    event = fields.CharField(max_length=40)
    user = fields.CharField(max_length=MAX_TEXT, db_index=True)
    """Whose session, password or key it is; empty where nobody is known."""
    client = fields.CharField(max_length=64)
    """The address of the client; empty outside of a request."""
    request = fields.CharField(max_length=64)
    """The id of the request, which is in the log as well."""
    facts: Any = fields.JSONField()
    created_at = fields.DatetimeField(auto_now_add=True, db_index=True)

    if not TYPE_CHECKING:
        _no_comments = True

        class Meta:
            abstract = True
