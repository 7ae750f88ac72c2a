"""API keys: long-lived credentials of machines, shown once and stored as digests.

    shop_9f86d081884c7d65_5b0e…      prefix, identifier, secret

The prefix lets people and secret scanners recognize a leaked key. The identifier is the primary key of its row, so a
lookup compares one digest, in constant time. The secret has 256 bits, so SHA-256 needs neither salt nor iterations.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from tortoise import timezone

from sanicbase.auth.audit import record_audit
from sanicbase.auth.bearer import bearer_token
from sanicbase.auth.random_token import token_digest
from sanicbase.auth.tables import MAX_NAME, APIKey
from sanicbase.db import use_primary
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import ConfigError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import gettext
from sanicbase.i18n import gettext_noop as _

__all__ = ["APIClient", "APIKeys"]

logger = logging.getLogger("sanicbase.auth")

MAX_SCOPES = 100
PREFIX = re.compile(r"[a-z][a-z0-9_]{0,30}")
LAST_USE_INTERVAL = timedelta(minutes=1)  # between two notes of the last use
INVALID = _("The API key is not valid.")
EXPIRED = _("The API key has expired.")


Key = TypeVar("Key", bound=APIKey)


@dataclass(frozen=True, slots=True)
class APIClient:
    """The machine that sent an API key: what `admit` returns."""

    id: str
    """The public part of the key, which identifies the machine in limits and logs."""
    owner: str
    scopes: frozenset[str]


class APIKeys(Generic[Key]):
    """Creates and recognizes API keys, whose rows are of that model:

        keys = APIKeys(ShopKey, prefix="shop")

        class MachineAPI(APIView):
            @classmethod
            async def admit(cls, request: Request) -> APIClient:
                return await keys.authenticate(request)

    Every request reads the row from the primary, so a revoked key is refused from the next request on. Raises
    ConfigError for an invalid prefix.
    """

    def __init__(self, model: type[Key], *, prefix: str) -> None:
        if PREFIX.fullmatch(prefix) is None:
            raise ConfigError(
                gettext(
                    "The prefix {prefix!r} of API keys must have 1 to 31 lowercase letters, digits or _.", prefix=prefix
                )
            )
        self._model = model
        self._prefix = prefix
        self._form = re.compile(rf"{prefix}_([0-9a-f]{{16}})_([0-9a-f]{{64}})")

    async def create(
        self, owner: object, name: str, *, scopes: Collection[str] = (), expires_at: datetime | None = None
    ) -> tuple[str, Key]:
        """Create a key. Returns the key, which cannot be shown again, and its row. Raises ValueError for an expiry in
        the past, and for a text in place of a list of scopes."""
        if isinstance(scopes, str) or len(scopes) > MAX_SCOPES:
            raise ValueError(f"Scopes are a list of at most {MAX_SCOPES} texts.")
        if expires_at is not None and expires_at <= timezone.now():
            raise ValueError(f"The key would have expired already: {expires_at}.")
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        row = await self._model.create(
            id=key_id,
            digest=token_digest(secret),
            owner=str(owner),
            name=name[:MAX_NAME],
            scopes=sorted(set(scopes)),
            expires_at=expires_at,
        )
        await record_audit("api_key_created", user=row.owner, key=key_id)
        return f"{self._prefix}_{key_id}_{secret}", row

    async def authenticate(self, request: AnyRequest, *, scheme: str = "Bearer") -> APIClient:
        """The machine whose key is in the header Authorization. Call it in `admit`, for views and for WebSockets.

        Raises InvalidCredentials.
        """
        return await self.verify(bearer_token(request, scheme=scheme))

    async def verify(self, key: str) -> APIClient:
        """The machine that has this key. Raises InvalidCredentials."""
        parts = self._form.fullmatch(key)
        row = await self._row(parts[1]) if parts is not None else None
        if parts is None or row is None or not hmac.compare_digest(row.digest, token_digest(parts[2])):
            raise InvalidCredentials(INVALID)
        now = timezone.now()
        if row.expires_at is not None and row.expires_at <= now:
            raise InvalidCredentials(EXPIRED)
        if row.last_used_at is None or now - row.last_used_at >= LAST_USE_INTERVAL:
            await self._note_use(row.id, now)
        return APIClient(row.id, row.owner, frozenset(row.scopes))

    def is_key(self, token: str) -> bool:
        """Whether a text has the form of these keys, for an `admit` that also accepts users' tokens."""
        return self._form.fullmatch(token) is not None

    async def list(self, owner: object) -> list[Key]:
        """The keys of an owner, the oldest first."""
        with use_primary():
            return await self._model.filter(owner=str(owner)).order_by("created_at", "id")

    async def revoke(self, key_id: str, *, owner: object) -> bool:
        """Delete a key of that owner. Returns whether it existed."""
        deleted = await self._model.delete_by({"id": key_id, "owner": str(owner)}) > 0
        if deleted:
            await record_audit("api_key_revoked", user=owner, key=key_id)
        return deleted

    async def _note_use(self, key_id: str, now: datetime) -> None:
        try:
            await self._model.update_by_pk(key_id, last_used_at=now)
        except DatabaseError as exc:  # the key is valid all the same
            logger.warning("The last use of the API key %s could not be noted: %s", key_id, exc)

    async def _row(self, key_id: str) -> Key | None:
        with use_primary():
            return await self._model.get_by_pk(key_id)
