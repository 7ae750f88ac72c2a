"""Values that arrive as texts: of the path, the query, headers, cookies and forms, understood leniently."""

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
from sanic.request import Request

from sanicbase.db.pages import ListQuery
from sanicbase.db.values import unstorable_character
from sanicbase.http.bounded_type import BoundedType, Validates
from sanicbase.http.mistakes import InvalidParameters, Mistake, printable

__all__ = [
    "MAX_PARAMETERS", "ListTexts", "PathTexts", "Texts", "cookies_of", "headers_of", "known_names", "query_of",
    "repeatable", "takes_several", "validated",
]  # fmt: skip

MAX_PARAMETERS = 500  # of a query or a form

SEVERAL = (list, set, frozenset, tuple, Sequence, Iterable)
UNIONS = (typing.Union, types.UnionType)

Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Texts:
    """The texts of one place and what they become.

    `argument` is the parameter that takes all of them as one model; without one, each field is an argument. `several`
    are the names that may stand more than once, `known` those that are read at all, or None for any.
    """

    place: str
    type: BoundedType
    several: frozenset[str]
    known: frozenset[str] | None
    given: Callable[[Request], Given]
    argument: str = ""

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments. Raises InvalidParameters."""
        found = validated(self.type, self.place, self.given(request), self.several, self.known)
        if self.argument:
            arguments[self.argument] = found
        else:
            arguments.update(vars(found))


@dataclass(frozen=True)
class PathTexts:
    """The parameters of the path. What a path cannot name does not exist, so it is answered 404."""

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
            raise NotFound("There is nothing at this path.")
        try:
            arguments.update(vars(self.type.validate_python(path)))
        except ValidationError as exc:
            raise NotFound("There is nothing at this path.") from exc


@dataclass(frozen=True)
class ListTexts:
    """The query of a list, which has rules of its own."""

    query: type[ListQuery]
    adapter: TypeAdapter[ListQuery]
    place = "query"

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the argument `query`. Raises InvalidQuery."""
        arguments["query"] = self.query.parse(query_of(request))


def validated(
    adapter: Validates, place: str, given: Given, several: frozenset[str], known: frozenset[str] | None
) -> Any:
    """What the texts become. Raises InvalidParameters with every mistake; what nobody reads has none."""
    values: dict[str, object] = {}
    mistakes: list[Mistake] = []
    for name, many in given.items():
        unstorable = {character for text in many if (character := unstorable_character(text))}
        if unstorable and (known is None or name in known):
            code = "nul_character" if "NUL character" in unstorable else "lone_surrogate"
            mistakes.append(Mistake.of(f"{place}.{printable(name)}", code))
        values[name] = many if name in several else many[0]
        if len(many) > 1 and name not in several:
            mistakes.append(Mistake.of(f"{place}.{printable(name)}", "repeated"))
    if mistakes:
        raise InvalidParameters(mistakes)
    try:
        return adapter.validate_python(values)
    except ValidationError as exc:
        raise InvalidParameters.of(exc, place) from None


def query_of(request: Request) -> Given:
    """The query string, each key with its values, empty ones too. Raises InvalidParameters when there are too many."""
    if not request.query_string:
        return {}
    try:
        return parse_qs(request.query_string, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidParameters([Mistake.of("query", "too_many_parameters", most=MAX_PARAMETERS)]) from None


def headers_of(names: Iterable[str]) -> Callable[[Request], Given]:
    """The headers of those names that a request has."""
    wanted = tuple(names)
    return lambda request: {name: many for name in wanted if (many := request.headers.getall(name, None))}


def cookies_of(names: Iterable[str]) -> Callable[[Request], Given]:
    """The cookies of those names that a request has."""
    wanted = tuple(names)
    return lambda request: {name: many for name in wanted if (many := request.cookies.getlist(name))}


def repeatable(model: type[BaseModel]) -> frozenset[str]:
    """The names under which a model takes several values."""
    fields = model.model_fields.items()
    return frozenset(
        alias for name, field in fields if takes_several(field.annotation) for alias in _aliases(name, field)
    )


def known_names(model: type[BaseModel]) -> frozenset[str] | None:
    """The names that a model reads; None where it takes others as well."""
    if model.model_config.get("extra", "ignore") != "ignore":
        return None
    return frozenset(alias for name, field in model.model_fields.items() for alias in _aliases(name, field))


def takes_several(annotation: Any) -> bool:
    """Whether a type is a list or the like, or can be one."""
    origin = typing.get_origin(annotation)
    if origin in UNIONS or origin is typing.Annotated:
        return any(takes_several(argument) for argument in typing.get_args(annotation))
    return (origin or annotation) in SEVERAL


def _aliases(name: str, field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias or field.alias
    if isinstance(alias, AliasChoices):
        yield from (choice for choice in alias.choices if isinstance(choice, str))
    else:
        yield alias if isinstance(alias, str) else name
    yield name
