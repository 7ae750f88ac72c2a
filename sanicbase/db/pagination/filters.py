"""What a list may be filtered by, declared by the names that Tortoise's filters have: `"title__icontains"`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic import ValidationError as Refusal
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from tortoise.fields.base import Field as Column
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.models import Model

from sanicbase.db.keys import attribute_path, foreign_key, is_to_many
from sanicbase.db.pagination.columns import MAX_TEXT, ColumnType, annotated, column_of, column_type
from sanicbase.errors import SanicBaseError

__all__ = ["Filter", "single_value", "split_commas"]

LISTS = ("in", "not_in")
ORDERED = ("gt", "gte", "lt", "lte")
TEXTUAL = ("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "iexact")
OPERATORS = ("not", *LISTS, "isnull", *ORDERED, *TEXTUAL)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
MAX_LIST = 100  # values of one filter


def single_value(value: object) -> object:
    """A parameter that is given once; a list is what the query string has of one that is repeated."""
    if isinstance(value, list):
        raise PydanticCustomError("repeated", "Give this parameter once.")
    return value


def split_commas(value: object) -> object:
    """Several values: of a repeated parameter, or of one with commas. One that is repeated may hold commas itself."""
    return value.split(",") if isinstance(value, str) else value


@dataclass(frozen=True)
class Filter:
    """One entry of `filters`: what it filters, and the type of its parameter."""

    owner: str
    source: type[Model]
    entry: str

    @property
    def operator(self) -> str:
        """The last part of the entry where that is an operator, else nothing."""
        last = self.entry.rpartition("__")[2]
        return last if last in OPERATORS and last != self.entry else ""

    @property
    def path(self) -> list[str]:
        """The names that lead to the column: relations, and the column itself."""
        entry = self.entry.removesuffix(f"__{self.operator}") if self.operator else self.entry
        return entry.split("__")

    @property
    def condition(self) -> str:
        """The name of Tortoise's filter, once the database is open."""
        return attribute_path(self.source, self.entry)

    def annotation(self) -> Any:
        """The type of the parameter, checked now as far as it can be. Raises SanicBaseError."""
        first, *more = self.path
        column = column_of(self.source, first)
        if not more and column is not None:
            return self._type(column)
        relation = self.source._meta.fields_map.get(first) if more else foreign_key(self.source, first)
        if isinstance(relation, ForeignKeyFieldInstance):
            return annotated(Any, _Later(self))
        if not more and is_to_many(self.source, first):
            raise self._wrong(f"{first} leads to several rows, so a row would be in the list several times")
        raise self._wrong(f"{self.source.__name__} has no column or foreign key {first!r}")

    @cached_property
    def resolved(self) -> TypeAdapter[Any]:
        """The type of a parameter behind a relation, known once Tortoise has its models. Raises SanicBaseError."""
        model, (*relations, name) = self.source, self.path
        for relation in relations:
            field = model._meta.fields_map.get(relation)
            if not isinstance(field, ForeignKeyFieldInstance):  # one to many would give a row several times
                raise self._wrong(f"{model.__name__} has no foreign key {relation!r}")
            model = vars(field).get("related_model") or self._unknown()
        column = column_of(model, name)
        if column is None:
            raise self._wrong(f"{model.__name__} has no column {name!r}, or the database is not open")
        return TypeAdapter(self._type(column))

    def _unknown(self) -> NoReturn:
        raise self._wrong("it leads to another model, and the database is not open")

    def _type(self, column: Column[Any]) -> Any:
        """The type of what the operator compares the column with."""
        if self.operator == "isnull":
            return Annotated[bool, BeforeValidator(single_value)]
        kind = column_type(column)
        if kind is None:
            raise self._wrong(f"{type(column).__name__} is not filtered by")
        if self.operator in LISTS:
            several: Any = list[annotated(_read(kind), AfterValidator(_sendable))]  # type: ignore[misc]
            return annotated(several, Field(min_length=1, max_length=MAX_LIST), BeforeValidator(split_commas))
        return annotated(self._single(column, kind), AfterValidator(_sendable), BeforeValidator(single_value))

    def _single(self, column: Column[Any], kind: ColumnType) -> Any:
        if self.operator in TEXTUAL:
            if not kind.text:
                raise self._wrong(f"{self.operator} is for text, and {column.model_field_name} is none")
            return Annotated[str, Field(max_length=getattr(column, "max_length", MAX_TEXT))]
        if self.operator in ORDERED and not kind.ordered:
            raise self._wrong(f"{column.model_field_name} is not compared by {self.operator}")
        return _read(kind)

    def _wrong(self, reason: str) -> SanicBaseError:
        return SanicBaseError(
            f"{self.owner}: the filter {self.entry!r} is not possible: {reason}. A filter is a column, or a column "
            f"behind foreign keys, and one of these: {', '.join(OPERATORS)}."
        )


@dataclass(frozen=True)
class _Later:
    """The type of a filter that is known only when the models are: asked for at its first use."""

    filter: Filter

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        try:
            return handler(self.filter.resolved.core_schema)
        except SanicBaseError:  # a schema can be asked for before the database is open
            return {}

    def _validate(self, value: object) -> Any:
        try:
            return self.filter.resolved.validate_python(value)
        except Refusal as exc:
            first: Any = exc.errors()[0]
            raise PydanticCustomError(first["type"], "{reason}", {"reason": first["msg"]}) from exc


def _sendable(value: object) -> object:
    """What every database takes: MySQL knows no infinite numbers, PostgreSQL no NUL in a text."""
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("nul_character", "A text here has no NUL character.")
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise PydanticCustomError("finite_number", "This must be a finite number.")
    return value


def _read(kind: ColumnType) -> Any:
    """The column's type, for a text that a client wrote."""
    check = _written if kind.moment else kind.check
    return kind.annotation if check is None else annotated(kind.annotation, BeforeValidator(check))


def _written(value: object) -> object:
    """A moment as ISO 8601 writes it: pydantic would take a number for the seconds since 1970."""
    if isinstance(value, str) and not DATE.match(value):
        raise PydanticCustomError(
            "datetime_parsing",
            "Input should be a valid datetime, {error}",
            {"error": "written as 2026-01-02T03:04:05Z"},
        )
    return value
