"""A view's signature, understood once: where each argument comes from.

| parameter | what it takes |
|---|---|
| `request`, the first one | Sanic's request |
| `query`, `body`, `form`, `files` | all of that place, as a pydantic model |
| `x: Annotated[int, Query()]`, `Header()`, `Cookie()` | a single value |
| `user` | whom `admit` has returned |
| any other | the parameter of that name in the path |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, make_dataclass
from functools import cached_property
from typing import Annotated, Any, NoReturn, Protocol, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, TypeAdapter
from pydantic.errors import PydanticUserError
from sanic.request import Request

from sanicbase.db.pages import ListQuery
from sanicbase.errors import SanicBaseError
from sanicbase.http.bounded_type import BoundedType, check_cost
from sanicbase.http.form_body import FormBody, FormPart
from sanicbase.http.json_body import REQUIRED, JsonBody
from sanicbase.http.markers import Cookie, Header, Marker, Query
from sanicbase.http.texts import (
    ListTexts,
    PathTexts,
    Texts,
    cookies_of,
    headers_of,
    known_names,
    query_of,
    repeatable,
    takes_several,
)

__all__ = ["Parameter", "Signature", "Source"]

LARGEST = 2**63 - 1  # what the widest integer column holds
MODELS = ("query", "body", "form", "files")


class Source(Protocol):
    """A place of the request from which arguments are read."""

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature."""

    name: str
    annotation: Any
    default: Any
    marker: Marker | None = None

    @property
    def required(self) -> bool:
        """Whether the request must have it."""
        return self.default is REQUIRED

    @property
    def alias(self) -> str:
        """Its name in the request."""
        return self.marker.name_of(self.name) if self.marker else self.name


@dataclass(frozen=True)
class Signature:
    """The parameters of a function besides the request. Raises SanicBaseError, which names function and parameter."""

    owner: str
    function: Callable[..., Any]
    bound: bool = False

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The annotations, as objects."""
        try:
            return get_type_hints(self.function, include_extras=True)
        except (NameError, TypeError) as exc:
            raise SanicBaseError(
                f"{self.owner}: an annotation cannot be understood: {exc}. Define or import it in the view's module."
            ) from exc

    @cached_property
    def returns(self) -> Any:
        """The annotation of what it returns."""
        if "return" not in self.hints:
            raise SanicBaseError(f"{self.owner}: annotate what it returns; `-> None` for nothing.")
        return self.hints["return"]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """All of them but the request."""
        found = list(inspect.signature(self.function).parameters.values())[1 if self.bound else 0 :]
        if not found or found[0].kind not in (found[0].POSITIONAL_ONLY, found[0].POSITIONAL_OR_KEYWORD):
            raise SanicBaseError(f"{self.owner}: it takes the request first: request: Request.")
        if (first := self.hints.get(found[0].name, Request)) is not Request and found[0].name != "request":
            raise SanicBaseError(f"{self.owner}: it takes the request first, and {found[0].name!r} is a {first}.")
        return {each.name: self._parameter(each) for each in found[1:]}

    def _parameter(self, found: inspect.Parameter) -> Parameter:
        if found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD, found.POSITIONAL_ONLY):
            self._wrong(found.name, "name each parameter that it takes")
        if found.name not in self.hints:
            self._wrong(found.name, "annotate it")
        annotation = self.hints[found.name]
        markers = [each for each in _metadata(annotation) if _is_marker(each)]
        if len(markers) > 1:
            self._wrong(found.name, "it comes from one place only")
        marker = markers[0]() if markers and isinstance(markers[0], type) else (markers[0] if markers else None)
        if marker is not None and found.name in (*MODELS, "user"):
            self._wrong(found.name, "this name is taken; give the value another one, and the alias of this name")
        default = REQUIRED if found.default is found.empty else found.default
        return Parameter(found.name, annotation, default, marker)

    @cached_property
    def path(self) -> dict[str, Parameter]:
        """The parameters of the path."""
        special = {*MODELS, "user"}
        found = {name: each for name, each in self.parameters.items() if each.marker is None and name not in special}
        for each in found.values():
            if not each.required:
                self._wrong(each.name, "a parameter of the path has no default; or say Annotated[…, Query()]")
        return found

    @property
    def user(self) -> Parameter | None:
        """The parameter that takes the user."""
        return self.parameters.get("user")

    def single(self, kind: type[Marker]) -> dict[str, Parameter]:
        """The single values of one place."""
        return {name: each for name, each in self.parameters.items() if type(each.marker) is kind}

    def check_method(self, method: str) -> None:
        """Refuse a body where HTTP gives it no meaning (RFC 9110, 9.3.1)."""
        for name in ("body", "form", "files"):
            if method.upper() in ("GET", "HEAD", "OPTIONS") and name in self.parameters:
                self._wrong(name, f"a {method.upper()} request has no body")

    def sources(self) -> tuple[Source, ...]:
        """The places that are read, one after another. Raises SanicBaseError."""
        if "body" in self.parameters and {"form", "files"} & self.parameters.keys():
            self._wrong("body", "a body is JSON or a form, not both")
        found = (self._path(), *self._query(), self._singles(Header), self._singles(Cookie), self._body(), self._form())
        return tuple(each for each in found if each is not None)

    def _path(self) -> Source | None:
        return PathTexts(BoundedType(self._adapter("path", self.path.values()))) if self.path else None

    def _query(self) -> tuple[Source | None, ...]:
        if "query" not in self.parameters:
            return (self._singles(Query),)
        if singles := self.single(Query):
            self._wrong(next(iter(singles)), "`query` takes the whole query string; make this a field of it")
        model = self._model("query")
        if issubclass(model, ListQuery):
            return (ListTexts(model, TypeAdapter(model)),)
        return (
            Texts(
                "query",
                BoundedType(self._checked("query", TypeAdapter(model))),
                repeatable(model),
                known_names(model),
                query_of,
                argument="query",
            ),
        )

    def _singles(self, kind: type[Marker]) -> Source | None:
        found = self.single(kind).values()
        if not found:
            return None
        place, names = kind.__name__.lower(), [each.alias for each in found]
        several = frozenset(each.alias for each in found if takes_several(each.annotation))
        given = {Query: lambda _: query_of, Header: headers_of, Cookie: cookies_of}[kind](names)
        return Texts(place, BoundedType(self._adapter(place, found)), several, frozenset(names), given)

    def _body(self) -> Source | None:
        if (body := self.parameters.get("body")) is None:
            return None
        if body.annotation in (Any, object):
            self._wrong("body", "annotate it with a pydantic model")
        return JsonBody(BoundedType(self._type(body)), body.default)

    def _form(self) -> Source | None:
        if not {"form", "files"} & self.parameters.keys():
            return None
        return FormBody(self._part("form"), self._part("files"))

    def _part(self, name: str) -> FormPart | None:
        if name not in self.parameters:
            return None
        model = self._model(name)
        return FormPart(BoundedType(self._checked(name, TypeAdapter(model))), repeatable(model), known_names(model))

    def _model(self, name: str) -> type[BaseModel]:
        annotation = self.parameters[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            self._wrong(name, "annotate it with a pydantic model")
        return annotation

    def _type(self, parameter: Parameter) -> TypeAdapter[Any]:
        try:
            return self._checked(parameter.name, TypeAdapter(parameter.annotation))
        except PydanticUserError as exc:
            raise SanicBaseError(
                f"{self.owner}: {parameter.name!r}: annotate it with a pydantic model, or a type that pydantic knows."
            ) from exc

    def _checked(self, name: str, adapter: TypeAdapter[Any]) -> TypeAdapter[Any]:
        if reason := check_cost(adapter):
            self._wrong(name, reason)
        return adapter

    def _adapter(self, place: str, parameters: Iterable[Parameter]) -> TypeAdapter[Any]:
        """A type that has the parameters as its fields."""
        found = list(parameters)
        for each in found:
            self._type(each)  # one by one, for a sentence that names it
        fields = [
            (each.name, _bounded(each), Field() if each.required else Field(default=each.default)) for each in found
        ]
        # A dataclass and not a model, whose own names ("json", "copy") a parameter may have.
        return TypeAdapter(make_dataclass(place, fields, kw_only=True))

    def _wrong(self, name: str, reason: str) -> NoReturn:
        raise SanicBaseError(f"{self.owner}: {name!r}: {reason}.")


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _is_marker(value: object) -> bool:
    return isinstance(value, Marker) or (isinstance(value, type) and issubclass(value, Marker))


def _bounded(parameter: Parameter) -> Any:
    """The annotation, with the name in the request and, of an integer, the bounds of the widest column."""
    metadata = tuple(each for each in _metadata(parameter.annotation) if not _is_marker(each))
    plain = get_args(parameter.annotation)[0] if get_origin(parameter.annotation) is Annotated else parameter.annotation
    bounds = (Field(ge=-LARGEST - 1, le=LARGEST),) if plain is int else ()
    named = Field(validation_alias=parameter.alias, serialization_alias=parameter.alias)
    return Annotated[(plain, *bounds, *metadata, named)]
