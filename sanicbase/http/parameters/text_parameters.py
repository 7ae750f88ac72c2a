"""Parameters that are strings in the request: of the path, the query, headers, cookies and forms, validated
leniently."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from pydantic import AliasChoices, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from sanic.exceptions import NotFound

from sanicbase.db.pagination import ListQuery
from sanicbase.db.values import unstorable_character
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters, printable
from sanicbase.http.request import Request
from sanicbase.http.validation.bounded_type import BoundedType, Validates

__all__ = [
    "MAX_PARAMETERS",
    "ListParameters",
    "PathParameters",
    "TextParameters",
    "cookies_of",
    "headers_of",
    "is_repeatable",
    "known_names",
    "query_of",
    "repeatable_names",
    "validate_texts",
]  # fmt: skip

MAX_PARAMETERS = 500  # of a query or a form

COLLECTIONS = (list, set, frozenset, tuple, Sequence, Iterable)
UNIONS = (typing.Union, types.UnionType)

TextValues = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class TextParameters:
    """The strings of one source, and their type.

    `argument` is the parameter that takes all of them as one model; without it, each field is an argument. `repeatable`
    are the names that may be repeated, `known` those that are read, or None for all.
    """

    place: str
    type: BoundedType
    repeatable: frozenset[str]
    known: frozenset[str] | None
    values_of: Callable[[Request], TextValues]
    argument: str = ""

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments. Raises InvalidParameters."""
        value = validate_texts(self.type, self.place, self.values_of(request), self.repeatable, self.known)
        if self.argument:
            arguments[self.argument] = value
        else:
            arguments.update(vars(value))


@dataclass(frozen=True)
class PathParameters:
    """The parameters of the path. An invalid one names no existing resource, so the response is a 404."""

    type: BoundedType
    place = "path"

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments. Raises NotFound."""
        path = request.match_info
        if any(isinstance(value, str) and unstorable_character(value) for value in path.values()):
            raise NotFound("The path was not found.")
        try:
            arguments.update(vars(self.type.validate_python(path)))
        except ValidationError as exc:
            raise NotFound("The path was not found.") from exc


@dataclass(frozen=True)
class ListParameters:
    """The query of a list, which has its own rules."""

    query: type[ListQuery]
    adapter: TypeAdapter[ListQuery]
    place = "query"

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the argument `query`. Raises InvalidQuery."""
        arguments["query"] = self.query.parse(query_of(request))


def validate_texts(
    adapter: Validates, place: str, given: TextValues, repeatable: frozenset[str], known: frozenset[str] | None
) -> Any:
    """Validate the strings. Raises InvalidParameters with every error; names that are not read cause none."""
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for name, texts in given.items():
        unstorable = {character for text in texts if (character := unstorable_character(text))}
        if unstorable and (known is None or name in known):
            code = "nul_character" if "NUL character" in unstorable else "lone_surrogate"
            errors.append(FieldError.of(f"{place}.{printable(name)}", code))
        values[name] = texts if name in repeatable else texts[0]
        if len(texts) > 1 and name not in repeatable:
            errors.append(FieldError.of(f"{place}.{printable(name)}", "repeated"))
    if errors:
        raise InvalidParameters(errors)
    try:
        return adapter.validate_python(values)
    except ValidationError as exc:
        raise InvalidParameters.of(exc, place) from None


def query_of(request: Request) -> TextValues:
    """The query string, each key with its values, including empty ones. Raises InvalidParameters if there are too
    many."""
    if not request.query_string:
        return {}
    try:
        return parse_qs(request.query_string, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidParameters([FieldError.of("query", "too_many_parameters", limit=MAX_PARAMETERS)]) from None


def headers_of(names: Iterable[str]) -> Callable[[Request], TextValues]:
    """Those headers that the request has."""
    wanted = tuple(names)
    return lambda request: {name: texts for name in wanted if (texts := request.headers.getall(name, None))}


def cookies_of(names: Iterable[str]) -> Callable[[Request], TextValues]:
    """Those cookies that the request has."""
    wanted = tuple(names)
    return lambda request: {name: texts for name in wanted if (texts := request.cookies.getlist(name))}


def repeatable_names(model: type[BaseModel]) -> frozenset[str]:
    """The names for which a model accepts more than one value."""
    fields = model.model_fields.items()
    return frozenset(
        alias for name, field in fields if is_repeatable(field.annotation) for alias in _aliases(name, field)
    )


def known_names(model: type[BaseModel]) -> frozenset[str] | None:
    """The names that a model reads; None if it accepts others as well."""
    if model.model_config.get("extra", "ignore") != "ignore":
        return None
    return frozenset(alias for name, field in model.model_fields.items() for alias in _aliases(name, field))


def is_repeatable(annotation: Any) -> bool:
    """Whether a type is a collection, or can be one."""
    origin = typing.get_origin(annotation)
    if origin in UNIONS or origin is typing.Annotated:
        return any(is_repeatable(argument) for argument in typing.get_args(annotation))
    return (origin or annotation) in COLLECTIONS


def _aliases(name: str, field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        yield from (choice for choice in alias.choices if isinstance(choice, str))
    else:
        yield alias if isinstance(alias, str) else name
    yield name
