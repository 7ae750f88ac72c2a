"""What a queryset and an upsert ask a model: how it takes its own values, and what its mixins add to each statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tortoise import fields, timezone
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import F
from tortoise.models import Model

from sanicbase.db.values import own_values

__all__ = ["ModelHooks"]


class ModelHooks(Model):
    """Below DBModel and its querysets, so that neither needs to import the other."""

    class Meta:
        abstract = True

    def _take_own_values(self, names: Iterable[str] | None = None, *, check: bool = True) -> None:
        """Give the attributes, or some of them, the values that their columns will have.

        Raises InvalidValue for the first one that does not fit, and then none is changed.
        """
        names = self._meta.fields_db_projection if names is None else [*names, self._meta.pk_attr]
        for name, value in own_values(self, names, check=check).items():
            setattr(self, name, value)

    def _name_mistake(self) -> None:
        """Raise InvalidValue for the first attribute that is not of its column's type."""
        own_values(self, self._meta.fields_db_projection)

    @classmethod
    def _shown(cls) -> dict[str, Any]:
        """The filter of the rows that are not hidden."""
        return {}

    @classmethod
    def _mark_of_deletion(cls) -> dict[str, Any] | None:
        """What a deleted row is given; None when it is really deleted."""
        return None

    @classmethod
    def _versions(cls) -> tuple[str, ...]:
        """The fields that count a row's changes."""
        return ()

    @classmethod
    async def _check_versions(cls, rows: Sequence[Any], connection: BaseDBAsyncClient) -> None:
        """Lock the rows and raise StaleVersionError when one of them has moved on."""

    @classmethod
    def _auto_now(cls) -> list[str]:
        """The fields that hold when the row was last written."""
        columns = cls._meta.fields_map.items()
        return [name for name, field in columns if isinstance(field, fields.DatetimeField) and field.auto_now]

    @classmethod
    def _moved_on(cls) -> dict[str, Any]:
        """What every update of a row writes besides its values."""
        moved: dict[str, Any] = {name: timezone.now() for name in cls._auto_now()}
        return moved | {name: F(name) + 1 for name in cls._versions()}
