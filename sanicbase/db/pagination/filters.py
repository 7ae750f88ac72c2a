"""The filters of a list, declared by Tortoise's lookups: `"title__icontains"`."""

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
    """A parameter that may be given once; a repeated one is a list."""
    if isinstance(value, list):
        raise PydanticCustomError("repeated", "This parameter must not be repeated.")
    return value


def split_commas(value: object) -> object:
    """The values of a repeated parameter, or of one with commas; a repeated one may contain commas."""
    return value.split(",") if isinstance(value, str) else value


@dataclass(frozen=True)
class Filter:
    """One entry of `filters`: its column and the type of its parameter."""

    owner: str
    source: type[Model]
    entry: str

    @property
    def operator(self) -> str:
        """The operator at the end of the entry, or an empty string."""
        last = self.entry.rpartition("__")[2]
        return last if last in OPERATORS and last != self.entry else ""

    @property
    def path(self) -> list[str]:
        """The path to the column: relations, and the column itself."""
        entry = self.entry.removesuffix(f"__{self.operator}") if self.operator else self.entry
        return entry.split("__")

    @property
    def condition(self) -> str:
        """Tortoise's lookup, once the database is open."""
        return attribute_path(self.source, self.entry)

    def annotation(self) -> Any:
        """The type of the parameter, checked as far as possible before the database is open. Raises SanicBaseError."""
        first, *more = self.path
        column = column_of(self.source, first)
        if not more and column is not None:
            return self._type(column)
        relation = self.source._meta.fields_map.get(first) if more else foreign_key(self.source, first)
        if isinstance(relation, ForeignKeyFieldInstance):
            return annotated(Any, _Later(self))
        if not more and is_to_many(self.source, first):
            raise self._wrong(f"{first} is a to-many relation, so a row would appear in the list several times")
        raise self._wrong(f"{self.source.__name__} has no column or foreign key {first!r}")

    @cached_property
    def resolved(self) -> TypeAdapter[Any]:
        """The type of a parameter behind a relation, known once Tortoise has its models. Raises SanicBaseError."""
        model, (*relations, name) = self.source, self.path
        for relation in relations:
            field = model._meta.fields_map.get(relation)
            if not isinstance(
                field, ForeignKeyFieldInstance
            ):  # a one-to-many relation would return a row several times
                raise self._wrong(f"{model.__name__} has no foreign key {relation!r}")
            model = vars(field).get("related_model") or self._unknown()
        column = column_of(model, name)
        if column is None:
            raise self._wrong(f"{model.__name__} has no column {name!r}, or the database is not open")
        return TypeAdapter(self._type(column))

    def _unknown(self) -> NoReturn:
        raise self._wrong("it is a relation, and the database is not open")

    def _type(self, column: Column[Any]) -> Any:
        """The type of the operator's right-hand side."""
        if self.operator == "isnull":
            return Annotated[bool, BeforeValidator(single_value)]
        kind = column_type(column)
        if kind is None:
            raise self._wrong(f"{type(column).__name__} does not support filters")
        if self.operator in LISTS:
            list_type: Any = list[annotated(_read(kind), AfterValidator(_sendable))]  # type: ignore[misc]
            return annotated(list_type, Field(min_length=1, max_length=MAX_LIST), BeforeValidator(split_commas))
        return annotated(self._single(column, kind), AfterValidator(_sendable), BeforeValidator(single_value))

    def _single(self, column: Column[Any], kind: ColumnType) -> Any:
        if self.operator in TEXTUAL:
            if not kind.text:
                raise self._wrong(f"{self.operator} requires text, and {column.model_field_name} is not text")
            return Annotated[str, Field(max_length=getattr(column, "max_length", MAX_TEXT))]
        if self.operator in ORDERED and not kind.ordered:
            raise self._wrong(f"{self.operator} does not apply to {column.model_field_name}")
        return _read(kind)

    def _wrong(self, reason: str) -> SanicBaseError:
        return SanicBaseError(
            f"{self.owner}: the filter {self.entry!r} is not possible: {reason}. A filter is a column, or a column "
            f"behind foreign keys, with one of these operators: {', '.join(OPERATORS)}."
        )


@dataclass(frozen=True)
class _Later:
    """The type of a filter on a related model, resolved at its first use."""

    filter: Filter

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        try:
            return handler(self.filter.resolved.core_schema)
        except SanicBaseError:  # a schema may be needed before the database is open
            return {}

    def _validate(self, value: object) -> Any:
        try:
            return self.filter.resolved.validate_python(value)
        except Refusal as exc:
            first: Any = exc.errors()[0]
            raise PydanticCustomError(first["type"], "{reason}", {"reason": first["msg"]}) from exc


def _sendable(value: object) -> object:
    """Refuse values that a database does not accept: infinite numbers in MySQL, NUL in PostgreSQL."""
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("nul_character", "The text must not contain a NUL character.")
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise PydanticCustomError("finite_number", "This must be a finite number.")
    return value


def _read(kind: ColumnType) -> Any:
    """The column's type for text from a client."""
    check = _written if kind.moment else kind.check
    return kind.annotation if check is None else annotated(kind.annotation, BeforeValidator(check))


def _written(value: object) -> object:
    """Accept ISO 8601 only: pydantic accepts numbers as seconds since 1970."""
    if isinstance(value, str) and not DATE.match(value):
        raise PydanticCustomError(
            "datetime_parsing",
            "Input should be a valid datetime, {error}",
            {"error": "written as 2026-01-02T03:04:05Z"},
        )
    return value
