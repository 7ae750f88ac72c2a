"""The hooks of a model that querysets and upserts call, and that mixins override."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tortoise import fields, timezone
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import F
from tortoise.models import Model

from sanicbase.db.values import converted_attributes

__all__ = ["ModelHooks"]


class ModelHooks(Model):
    """The base of DBModel, below its querysets, so that neither imports the other."""

    _no_comments = True

    class Meta:
        abstract = True

    def _convert_attributes(self, names: Iterable[str] | None = None, *, check: bool = True) -> None:
        """Convert the attributes, or some of them, to the values that their columns store.

        Raises InvalidValue for the first invalid one, and then changes none.
        """
        names = self._meta.fields_db_projection if names is None else [*names, self._meta.pk_attr]
        for name, value in converted_attributes(self, names, check=check).items():
            setattr(self, name, value)

    def _check_attributes(self) -> None:
        """Raise InvalidValue for the first attribute that is not of its column's type."""
        converted_attributes(self, self._meta.fields_db_projection)

    @classmethod
    def _visible_filter(cls) -> dict[str, Any]:
        """The filter of visible rows."""
        return {}

    @classmethod
    def _deletion_values(cls) -> dict[str, Any] | None:
        """The values of a soft-deleted row; None when rows are deleted."""
        return None

    @classmethod
    def _version_fields(cls) -> tuple[str, ...]:
        """The fields that every update increments."""
        return ()

    @classmethod
    async def _check_versions(cls, rows: Sequence[Any], connection: BaseDBAsyncClient) -> None:
        """Lock the rows. Raises StaleVersionError when one was changed."""

    @classmethod
    def _auto_now_fields(cls) -> list[str]:
        """The fields with `auto_now`."""
        columns = cls._meta.fields_map.items()
        return [name for name, field in columns if isinstance(field, fields.DatetimeField) and field.auto_now]

    @classmethod
    def _automatic_values(cls) -> dict[str, Any]:
        """The values that every update sets in addition."""
        moved: dict[str, Any] = {name: timezone.now() for name in cls._auto_now_fields()}
        return moved | {name: F(name) + 1 for name in cls._version_fields()}
