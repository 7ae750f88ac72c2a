"""Rows as instances of a pydantic model, validated from the values of their columns."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.keys import attribute_path
from sanicbase.errors import SanicBaseError

__all__ = ["fetch_models"]

T = TypeVar("T", bound=BaseModel)


async def fetch_models(queryset: QuerySet[Any], model: type[T]) -> list[T]:
    """The rows of the queryset as instances of a pydantic model, without an instance of the database model for each.

    Selects the columns that the fields of `model` name; a name may follow foreign keys (`author__name`) or be an
    annotation of the queryset. A field that names none of these keeps its default. Raises SanicBaseError for a required
    field that names none, and pydantic's ValidationError for a row that is not valid.
    """
    names = _columns(queryset, model)
    rows = await queryset.values(**names)
    validated: list[T] = _adapter(model).validate_python(rows)
    return validated


@lru_cache(maxsize=256)
def _adapter(model: type[BaseModel]) -> TypeAdapter[Any]:
    items: Any = list.__class_getitem__(model)
    return TypeAdapter(items)


def _columns(queryset: QuerySet[Any], model: type[BaseModel]) -> dict[str, str]:
    """The columns by the names that pydantic looks for."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        if _is_value(queryset, name):
            alias = field.validation_alias
            names[alias if isinstance(alias, str) else name] = name
        elif field.is_required():
            source = queryset.model.__name__
            raise SanicBaseError(
                f"{model.__name__}.{name} is no column of {source}. Give the field a default, name a column behind a "
                f"foreign key (author__name), or annotate the queryset: .annotate({name}=…)."
            )
    return names


def _is_value(queryset: QuerySet[Any], name: str) -> bool:
    first, _, rest = attribute_path(queryset.model, name).partition("__")
    fields: dict[str, Any] = queryset.model._meta.fields_map
    if name in queryset._annotations or name in queryset.model._meta.fields_db_projection:
        return True
    related = fields[first].related_model if rest and first in queryset.model._meta.fetch_fields else None
    return isinstance(related, type) and issubclass(related, Model)
