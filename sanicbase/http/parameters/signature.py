"""A view's signature, which is inspected once: the source of each argument.

| parameter | what it takes |
|---|---|
| `request`, the first one | Sanic's request |
| `query`, `body`, `form`, `files` | all of that place, as a pydantic model |
| `x: Annotated[FileUpload, Upload(…)]` | a file of a form, which is received onto the disk |
| `x: Annotated[int, Query()]`, `Header()`, `Cookie()` | a single value |
| `user` | the user that `admit` has returned |
| `x: IfMatch` | the versions in the header If-Match |
| any other | the parameter of that name in the path |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, make_dataclass
from functools import cached_property
from types import UnionType
from typing import Any, NoReturn, Protocol, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from sanic.request import Request as SanicRequest

from sanicbase.db.pagination import ListQuery
from sanicbase.errors import SanicBaseError
from sanicbase.http.files import sniffing
from sanicbase.http.files.upload import FileUpload
from sanicbase.http.parameters.form_body import FormBody, FormPart
from sanicbase.http.parameters.json_body import JsonBody
from sanicbase.http.parameters.params import REQUIRED, Cookie, Header, Param, Parameter, Query, Upload, params_of
from sanicbase.http.parameters.text_parameters import (
    ListParameters,
    PathParameters,
    TextParameters,
    cookies_of,
    headers_of,
    is_repeatable,
    known_names,
    query_of,
    repeatable_names,
)
from sanicbase.http.parameters.upload_body import UploadBody, UploadField
from sanicbase.http.preconditions import IfMatchHeader, is_if_match
from sanicbase.http.request import Request
from sanicbase.http.validation.bounded_type import BoundedType, check_cost

__all__ = ["Signature", "Source"]

UNIONS = (Union, UnionType)
MODELS = ("query", "body", "form", "files")

_paths: dict[tuple[tuple[str, type], ...], PathParameters] = {}
"""By names and classes: most paths have the same few parameters, such as `item_id: int`, and building a type takes a
millisecond."""


class Source(Protocol):
    """A part of the request from which arguments are read."""

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments."""


@dataclass(frozen=True)
class Signature:
    """The parameters of a function, without the request. Raises SanicBaseError, which names the function and the
    parameter."""

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
                f"{self.owner}: an annotation cannot be resolved: {exc}. Define or import it in the view's module."
            ) from exc

    @cached_property
    def returns(self) -> Any:
        """The return annotation."""
        if "return" not in self.hints:
            raise SanicBaseError(f"{self.owner}: annotate the return type; use `-> None` if it returns nothing.")
        return self.hints["return"]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters except the request."""
        parameters = list(inspect.signature(self.function).parameters.values())[1 if self.bound else 0 :]
        if not parameters or not _is_positional(parameters[0]):
            raise SanicBaseError(f"{self.owner}: the first parameter must be the request: `request: Request`.")
        first = parameters[0].name
        if first != "request" and not _is_request(hint := self.hints.get(first, SanicRequest)):
            raise SanicBaseError(f"{self.owner}: the first parameter must be the request, but {first!r} is a {hint}.")
        return {parameter.name: self._parameter(parameter) for parameter in parameters[1:]}

    def _parameter(self, parameter: inspect.Parameter) -> Parameter:
        name = parameter.name
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            self._refuse(name, "declare each parameter by name, without *args, **kwargs or positional-only ones")
        if name not in self.hints:
            self._refuse(name, "annotate it")
        annotation = self.hints[name]
        params = params_of(annotation)
        if len(params) > 1:
            self._refuse(name, "declare only one source")
        if params and name in (*MODELS, "user"):
            self._refuse(name, "this name is reserved; use another one, with this name as its alias")
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        return Parameter(name, annotation, default, params[0] if params else None)

    @cached_property
    def path(self) -> dict[str, Parameter]:
        """The parameters of the path."""
        special = {*MODELS, "user"}
        path = {
            name: parameter
            for name, parameter in self.parameters.items()
            if parameter.param is None and name not in special and not is_if_match(parameter.annotation)
        }
        for name, parameter in path.items():
            if not parameter.required:
                self._refuse(
                    name, "a path parameter cannot have a default; for a query parameter, write Annotated[…, Query()]"
                )
        return path

    @property
    def user(self) -> Parameter | None:
        """The parameter that takes the user."""
        return self.parameters.get("user")

    @cached_property
    def if_match(self) -> Parameter | None:
        """The parameter that takes the versions in the header If-Match."""
        headers = [parameter for parameter in self.parameters.values() if is_if_match(parameter.annotation)]
        for parameter in headers[1:]:
            self._refuse(parameter.name, "there is one If-Match")
        return headers[0] if headers else None

    def single(self, kind: type[Param]) -> dict[str, Parameter]:
        """The single values of one source."""
        return {name: parameter for name, parameter in self.parameters.items() if type(parameter.param) is kind}

    def check_method(self, method: str) -> None:
        """Refuse a body for methods where it has no meaning (RFC 9110, 9.3.1)."""
        for name in ("body", "form", "files", *self.single(Upload)):
            if method.upper() in ("GET", "HEAD", "OPTIONS") and name in self.parameters:
                self._refuse(name, f"a {method.upper()} request has no body")

    def sources(self) -> tuple[Source, ...]:
        """The sources, in the order in which they are read. Raises SanicBaseError."""
        if "body" in self.parameters and {"form", "files"} & self.parameters.keys():
            self._refuse("body", "a body is JSON or a form, not both")
        sources = (
            self._path(),
            self._query(),
            self._single_parameters(Header),
            self._single_parameters(Cookie),
            self._if_match(),
            self._body(),
            self._form(),
        )
        return tuple(source for source in sources if source is not None)

    def _path(self) -> Source | None:
        if not self.path:
            return None
        fields = tuple((name, parameter.annotation) for name, parameter in self.path.items())
        if not all(isinstance(annotation, type) for _, annotation in fields):  # other types may be equal but different
            return PathParameters(BoundedType(self._adapter("path", self.path.values())))
        if fields not in _paths:
            _paths[fields] = PathParameters(BoundedType(self._adapter("path", self.path.values())))
        return _paths[fields]

    def _query(self) -> Source | None:
        if "query" not in self.parameters:
            return self._single_parameters(Query)
        if singles := self.single(Query):
            self._refuse(next(iter(singles)), "`query` takes the whole query string; make this a field of its model")
        model = self._model("query")
        if issubclass(model, ListQuery):
            return ListParameters(model, TypeAdapter(model))
        bounded = BoundedType(self._checked("query", TypeAdapter(model)))
        return TextParameters("query", bounded, repeatable_names(model), known_names(model), query_of, argument="query")

    def _single_parameters(self, kind: type[Param]) -> Source | None:
        parameters = self.single(kind).values()
        if not parameters:
            return None
        place, names = kind.__name__.lower(), [parameter.alias for parameter in parameters]
        repeatable = frozenset(parameter.alias for parameter in parameters if is_repeatable(parameter.annotation))
        values_of = {Query: lambda _: query_of, Header: headers_of, Cookie: cookies_of}[kind](names)
        bounded = BoundedType(self._adapter(place, parameters))
        return TextParameters(place, bounded, repeatable, frozenset(names), values_of)

    def _if_match(self) -> Source | None:
        if (parameter := self.if_match) is None:
            return None
        return IfMatchHeader(parameter.name, required=type(None) not in get_args(parameter.annotation))

    def _body(self) -> Source | None:
        if (body := self.parameters.get("body")) is None:
            return None
        if body.annotation in (Any, object):
            self._refuse("body", "annotate it with a pydantic model")
        return JsonBody(BoundedType(self._type(body)), body.default)

    def _form(self) -> Source | None:
        if not {"form", "files"} & self.parameters.keys() or self.single(Upload):
            return None
        return FormBody(self._part("form"), self._part("files"))

    @cached_property
    def uploads(self) -> UploadBody | None:
        """The form with the uploads of the function, which is read after all other sources. Raises SanicBaseError."""
        parameters = self.single(Upload)
        for name in ("body", "files"):
            if parameters and name in self.parameters:
                self._refuse(name, "an upload is a file of a form; declare all files of the form as uploads")
        if not parameters:
            return None
        fields = {parameter.alias: self._upload(parameter) for parameter in parameters.values()}
        return UploadBody(self._part("form"), fields, self._adapter("files", parameters.values()))

    def _upload(self, parameter: Parameter) -> UploadField:
        upload, kind = parameter.param, get_args(parameter.annotation)[0]
        assert isinstance(upload, Upload)  # noqa: S101
        choices = get_args(kind) if get_origin(kind) in UNIONS else (kind,)
        if any(choice not in (FileUpload, list[FileUpload], type(None)) for choice in choices):
            self._refuse(parameter.name, "an upload is a FileUpload or a list[FileUpload]")
        if min(upload.max_size, upload.max_files) < 1 or upload.types == ():
            self._refuse(parameter.name, "an upload has a max_size, types or None for any, and max_files above 0")
        if upload.types is not None:
            sniffing.load()
        return UploadField(upload, list[FileUpload] in choices)

    def _part(self, name: str) -> FormPart | None:
        if name not in self.parameters:
            return None
        model = self._model(name)
        bounded = BoundedType(self._checked(name, TypeAdapter(model)))
        return FormPart(bounded, repeatable_names(model), known_names(model))

    def _model(self, name: str) -> type[BaseModel]:
        annotation = self.parameters[name].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            self._refuse(name, "annotate it with a pydantic model")
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
            self._refuse(name, reason)
        return adapter

    def _adapter(self, place: str, parameters: Iterable[Parameter]) -> TypeAdapter[Any]:
        """A type that has the parameters as its fields."""
        parameters = list(parameters)
        for parameter in parameters:
            self._type(parameter)  # one by one, so that an error names it
        # A dataclass and not a model, whose own names ("json", "copy") a parameter may have.
        return TypeAdapter(make_dataclass(place, [parameter.field for parameter in parameters], kw_only=True))

    def _refuse(self, name: str, reason: str) -> NoReturn:
        raise SanicBaseError(f"{self.owner}: {name!r}: {reason}.")


def _is_request(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, SanicRequest)


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
