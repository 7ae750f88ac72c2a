"""The SELECT of a row by its primary key, built once for each model instead of at each read."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Self

from tortoise import fields
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import BaseExecutor
from tortoise.exceptions import DoesNotExist, MultipleObjectsReturned
from tortoise.expressions import Q
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.queryset import QuerySet, QuerySetSingle

from sanicbase.db.conversion import EXPRESSIONS
from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.hooks import ModelHooks
from sanicbase.db.instances import TORTOISE, Factory, instance_factory
from sanicbase.db.key_reads import KeyReads, KeyStatements
from sanicbase.db.keys import pk_field
from sanicbase.db.queryset import DBManager, DBQuerySet
from sanicbase.db.values import ColumnValidator, is_valid_value

__all__ = ["KeySelect", "ReadByKey", "is_stored_key", "key_select"]

Using = BaseDBAsyncClient | None

INTEGER_FIELDS = (fields.IntField, fields.SmallIntField, fields.BigIntField)


class KeySelect:
    """The statement that a model's manager makes of `get_or_none(pk=…)`, with a gap for the key."""

    def __init__(self, field: Field[Any], statements: KeyStatements, factory: Factory) -> None:
        self.field = field
        self.integers = _integers(field)
        self._statements = statements
        self._factory = factory
        self._reads: dict[BaseDBAsyncClient, KeyReads] = {}

    async def get_or_none(self, model: type[Model], key: Any, connection: BaseDBAsyncClient) -> Any:
        """The row with a key that its column can hold; None when there is none."""
        value = key if type(key) is int and key in self.integers else self.field.to_db_value(key, model)
        reads = self._reads.get(connection) or self._new_reads(connection)
        if reads is not None:
            states = await reads.states(value)
        else:
            states = self._factory.states((await connection.execute_query(*self._statements.select(value)))[1])
        if not states:
            return None
        if len(states) > 1:
            raise MultipleObjectsReturned(model)
        return self._factory.instance(model, states[0])

    def _new_reads(self, connection: BaseDBAsyncClient) -> KeyReads | None:
        """The batches of a client; None for a transaction and a session, which have one connection."""
        if not isinstance(connection, EngineClient) or connection.is_session or not self._statements.several:
            return None
        reads = self._reads[connection] = KeyReads(connection, self._statements, self._factory)
        return reads


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


def is_stored_key(model: type[ModelHooks], key: object) -> bool:
    """Whether the key is a number as the column stores it, which is known after the first read."""
    known = _selects.get(model)
    return type(key) is int and known is not None and known[2] is not None and key in known[2].integers


def _integers(field: Field[Any]) -> range:
    """The numbers that the column stores as they are; none for columns with rules of their own."""
    plain = type(field) in INTEGER_FIELDS and all(type(rule) is ColumnValidator for rule in field.validators)
    return range(field.constraints["ge"], field.constraints["le"] + 1) if plain else range(0)


class ReadByKey(ModelHooks):
    """`get` and `get_or_none` of a DBModel, which take the kept statement when they are given a key only."""

    _no_comments = True  # on fields, for which Tortoise would parse the source of this class

    class Meta:
        abstract = True

    @classmethod
    def get(cls, *args: Q, using_db: Using = None, **kwargs: Any) -> QuerySetSingle[Self]:
        """The row that matches; see Tortoise's `Model.get`."""
        if not args and (key := _single_key(cls, kwargs)) is not None:
            return _RowByKey(cls, key, using_db, required=True)  # type: ignore[return-value]
        return super().get(*args, using_db=using_db, **kwargs)

    @classmethod
    def get_or_none(cls, *args: Q, using_db: Using = None, **kwargs: Any) -> QuerySetSingle[Self | None]:
        """The row that matches, or None; see Tortoise's `Model.get_or_none`."""
        if not args and (key := _single_key(cls, kwargs)) is not None:
            return _RowByKey(cls, key, using_db, required=False)  # type: ignore[return-value]
        return super().get_or_none(*args, using_db=using_db, **kwargs)


GET_OR_NONE: Any = vars(ReadByKey)["get_or_none"].__func__


class _RowByKey(DBQuerySet[Any]):
    """The queryset of `get(pk=…)`, built only when more is asked of it than the row."""

    def __init__(self, model: type[ModelHooks], key: Any, using_db: Using, *, required: bool) -> None:
        self.model = model
        self._given: tuple[Any, Using, bool] | None = key, using_db, required

    def __getattr__(self, name: str) -> Any:
        """Called for the attributes that a queryset has and this one does not have yet."""
        if name.startswith("__") or self.__dict__.get("_given") is None:  # also of a clone
            raise AttributeError(name)
        queryset = self._queryset()
        self._given = None
        for kind in QuerySet.__mro__:
            for slot in vars(kind).get("__slots__", ()):
                if hasattr(queryset, slot):
                    setattr(self, slot, getattr(queryset, slot))
        return getattr(self, name)

    def __await__(self) -> Generator[Any, None, Any]:
        return super().__await__() if self.__dict__.get("_given") is None else self._row().__await__()

    async def _row(self) -> Any:
        assert self._given is not None  # noqa: S101
        key, using_db, required = self._given
        connection = using_db or self.model._choose_db()
        if (select := key_select(self.model, key, connection)) is None:
            return await self._queryset()
        row = await select.get_or_none(self.model, key, connection)
        if row is None and required:
            raise DoesNotExist(self.model)
        return row

    def _queryset(self) -> Any:
        assert self._given is not None  # noqa: S101
        key, using_db, required = self._given
        queryset = self.model._db_queryset(using_db)
        return queryset.get(pk=key) if required else queryset.get_or_none(pk=key)


def _single_key(model: type[ModelHooks], condition: dict[str, Any]) -> Any:
    """The key that is the whole condition and that its column can hold; None for any other condition."""
    if len(condition) != 1:
        return None
    ((name, key),) = condition.items()
    if name != "pk" and name != model._meta.pk_attr:
        return None
    if is_stored_key(model, key):
        return key
    if isinstance(key, (Model, *EXPRESSIONS)):
        return None
    return key if is_valid_value(pk_field(model), key) else None


def _build(model: type[ModelHooks], key: Any) -> KeySelect | None:
    manager = model._meta.manager
    if (
        type(manager).get_queryset is not DBManager.get_queryset
        or getattr(model.get_or_none, "__func__", None) is not GET_OR_NONE
    ):
        return None
    field = pk_field(model)
    _, before = _compiled(manager.get_queryset())
    single, values = _compiled(manager.get_queryset().get_or_none(pk=key))
    several, values_of_several = _compiled(manager.get_queryset().filter(pk=key))
    position = len(before)
    if values[:position] != before or values[position : position + 1] != [field.to_db_value(key, model)]:
        return None  # such as the text "*", which pypika does not make a parameter
    column = model._meta.db_pk_column
    conditions = list(
        re.finditer(rf'((?:["`]\w+["`]\.)?["`]{re.escape(column)}["`])=(?:\${position + 1}\b|%s|\?)', several)
    )
    around = None
    if len(conditions) == 1 and values_of_several[:position] == before:
        around = several[: conditions[0].start()], conditions[0][1], several[conditions[0].end() :]
    return KeySelect(
        field,
        KeyStatements(single, before, values[position + 1 :], column, around, values_of_several[position + 1 :]),
        instance_factory(model) or TORTOISE,
    )


def _compiled(queryset: Any) -> tuple[str, list[Any]]:
    queryset._make_query()
    sql, values = queryset.query.get_parameterized_sql()
    return sql, list(values)
