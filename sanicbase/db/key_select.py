"""The SELECT of a row by its primary key, built once for each model instead of at each read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import BaseExecutor
from tortoise.exceptions import MultipleObjectsReturned
from tortoise.fields.base import Field
from tortoise.models import Model

from sanicbase.db.hooks import ModelHooks
from sanicbase.db.keys import pk_field
from sanicbase.db.queryset import DBManager

__all__ = ["KeySelect", "key_select"]


@dataclass(frozen=True, slots=True)
class KeySelect:
    """The statement that a model's manager makes of `get_or_none(pk=…)`, with a gap for the key."""

    sql: str
    before: list[Any]  # the values of the manager's condition
    after: list[Any]
    field: Field[Any]

    async def get_or_none(self, model: type[Model], key: Any, connection: BaseDBAsyncClient) -> Any:
        """The row with a key that its column can hold; None when there is none."""
        value = self.field.to_db_value(key, model)
        _, rows = await connection.execute_query(self.sql, [*self.before, value, *self.after])
        if not rows:
            return None
        if len(rows) > 1:
            raise MultipleObjectsReturned(model)
        return model._init_from_db(**rows[0])


GET_OR_NONE: Any = vars(Model)["get_or_none"].__func__

_Known = tuple[object, dict[str, Any], KeySelect | None]
_selects: dict[type[Model], _Known] = {}


def key_select(model: type[ModelHooks], key: Any, connection: BaseDBAsyncClient) -> KeySelect | None:
    """The statement of the model, built with the first valid key; None when only the queryset itself knows it.

    That is so for a manager or `get_or_none` of the model's own, and for an executor that reads in its own way.
    """
    if connection.executor_class.execute_select is not BaseExecutor.execute_select:
        return None
    base_query, visible = model._meta.basequery_all_fields, model._visible_filter()
    known = _selects.get(model)
    if known is None or known[0] is not base_query or known[1] != visible:  # Tortoise was initialized again
        known = _selects[model] = base_query, visible, _build(model, key)
    return known[2]


def _build(model: type[ModelHooks], key: Any) -> KeySelect | None:
    manager = model._meta.manager
    if (
        type(manager).get_queryset is not DBManager.get_queryset
        or getattr(model.get_or_none, "__func__", None) is not GET_OR_NONE
    ):
        return None
    field = pk_field(model)
    (_, before), (sql, values) = (
        _compiled(manager.get_queryset()),
        _compiled(manager.get_queryset().get_or_none(pk=key)),
    )
    place = len(before)
    if values[:place] != before or values[place : place + 1] != [field.to_db_value(key, model)]:
        return None  # such as the text "*", which pypika does not make a parameter
    return KeySelect(sql, before, values[place + 1 :], field)


def _compiled(queryset: Any) -> tuple[str, list[Any]]:
    queryset._make_query()
    sql, values = queryset.query.get_parameterized_sql()
    return sql, list(values)
