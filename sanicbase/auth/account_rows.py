"""The rows of users, in a model of the service whose column names may differ."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from sanicbase.db import DBModel, use_primary
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

__all__ = ["AccountRows"]

User = TypeVar("User", bound=DBModel)


class AccountRows(Generic[User]):
    """Reads and writes users by their account, on the primary. Raises ConfigError for a model without the columns."""

    def __init__(self, model: type[User], *, account: str, password_hash: str) -> None:
        for column in (account, password_hash):
            if column not in model._meta.fields_map:  # noqa: SLF001  (Tortoise has no other way)
                raise ConfigError(
                    _(
                        "{model} has no column {column!r}. Name the column in Accounts(…).",
                        model=model.__name__,
                        column=column,
                    )
                )
        self._model = model
        self._account = account
        self._password_hash = password_hash

    async def create(self, account: str, password_hash: str) -> User:
        """Create a user."""
        values: dict[str, Any] = {self._account: account, self._password_hash: password_hash}
        return await self._model.create(**values)

    async def by_key(self, key: object) -> User | None:
        """The user with that primary key."""
        with use_primary():
            return await self._model.get_by_pk(key)

    async def by_account(self, account: str) -> User | None:
        """The user with that account, or with one that the database considers equal."""
        where: dict[str, Any] = {self._account: account}
        with use_primary():
            return await self._model.get_or_none(**where)

    async def replace_hash(self, user: User, password_hash: str, *, of: str | None = None) -> bool:
        """Store another hash if the current one is still `of`. Returns whether it was stored."""
        where = {"pk": user.pk} | ({self._password_hash: of} if of is not None else {})
        values: dict[str, Any] = {self._password_hash: password_hash}
        return await self._model.update_by(where, **values) > 0

    def hash_of(self, user: User) -> str | None:
        """The hash of the user's password; None for a user without a password."""
        password_hash: str | None = getattr(user, self._password_hash)
        return password_hash

    def account_of(self, user: User) -> str:
        """The account, as it is stored."""
        return str(getattr(user, self._account))

    @property
    def connection(self) -> str:
        """The connection of the users. Tokens and jobs belong to its transactions."""
        return str(self._model._meta.default_connection or "default")  # noqa: SLF001
