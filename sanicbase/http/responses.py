"""The responses of a view, by its return annotation, which is inspected once. pydantic serializes the data into
bytes."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaSerializer
from sanic.compat import Header
from sanic.http import Http
from sanic.response import BaseHTTPResponse, HTTPResponse, ResponseStream

from sanicbase.db.pagination import KeysetPage, Page
from sanicbase.errors import SanicBaseError
from sanicbase.http.envelope import envelope_of
from sanicbase.http.events import Event
from sanicbase.http.plain_json import plain_writer
from sanicbase.http.preconditions import entity_tag, has_version, is_not_modified
from sanicbase.http.request import Request
from sanicbase.http.return_types import Download, NoContent, WithStatus
from sanicbase.http.serialization import to_json

__all__ = ["ResponseModel", "Responses", "response_headers", "send_stream"]

RESPONSES = (BaseHTTPResponse, ResponseStream)
SAFE = ("GET", "HEAD")
OK = HTTPStatus.OK  # reading a member of an enum takes as long as a call
UNIONS = (typing.Union, types.UnionType)
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
URI_CHARACTERS = "%!#$&'()*+,/:;=?@[]~"  # besides letters and digits (RFC 3986, 2.2 and 2.3)
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")  # a percent sign that does not begin an escape
FILES = (Path, Download)
STREAMS = (AsyncIterator, typing.AsyncGenerator, typing.AsyncIterable)


@dataclass(frozen=True)
class ResponseModel:
    """One response of a view: its status, the type of its data, and the page whose rows the data is, if any."""

    status: HTTPStatus
    annotation: Any
    adapter: TypeAdapter[Any]
    is_instance: Callable[[Any], bool]
    page: type[Page[Any]] | type[KeysetPage[Any]] | None = None
    has_version: bool = False
    """Whether the data has a version, which is its entity tag."""
    write_plain: Callable[[Any], bytes | None] | None = None
    """A faster function with the same output, for values that it supports."""

    @property
    def is_class(self) -> bool:
        """Whether the data is an instance of a pydantic model, without a version."""
        annotation = self.annotation
        is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return is_model and self.page is None and not self.has_version

    def page_data(self, result: Any) -> object:
        """A page for the envelope, whose rows are JSON."""
        items: Any = orjson.Fragment(self.json(list(result.items)))
        if self.page is Page:
            page: Page[Any] = replace(result, items=items)
            return page
        return KeysetPage(items, result.next, result.previous)

    def json(self, value: Any) -> bytes:
        """The value as JSON; not for pages."""
        if self.write_plain is not None and (written := self.write_plain(value)) is not None:
            return written
        if not self.is_instance(value):  # a row or a dictionary may be validated into a model
            value = self.adapter.validate_python(value)
        return to_json(self.adapter.serializer, value)


@dataclass(frozen=True)
class Responses:
    """All responses of a view: more than one when the annotation is a union such as `Created[Thing] | Thing`.

    `raw` says that a method may return one of Sanic's responses, `file` a Path or a Download, `empty` a NoContent.
    `stream` is the type of a stream's chunks, `events` that of the data of an EventStream.
    """

    by_status: dict[int, ResponseModel] = field(default_factory=dict)
    raw: bool = False
    file: bool = False
    empty: bool = False
    stream: type | None = None
    events: ResponseModel | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the method returns a stream."""
        return self.stream is not None or self.events is not None

    @classmethod
    def of(cls, owner: str, annotation: Any) -> Responses:
        """The responses of a return annotation. Raises SanicBaseError."""
        if typing.get_origin(annotation) in STREAMS or annotation in STREAMS:
            kind = (*typing.get_args(annotation), bytes)[0]
            if (data := _event_data(kind)) is not None:
                return cls(events=_event_model(owner, data))
            if kind not in (bytes, str):
                raise SanicBaseError(f"{owner}: a stream yields bytes or str: -> AsyncIterator[bytes].")
            return cls(stream=kind)
        parts = typing.get_args(annotation) if typing.get_origin(annotation) in UNIONS else (annotation,)
        raw = [part for part in parts if isinstance(part, type) and issubclass(part, RESPONSES)]
        with_status = [part for part in parts if _is_with_status(part)]
        plain = [part for part in parts if part not in (*raw, *with_status, *FILES, NoContent)]
        models = [_model_with_status(owner, part) for part in with_status]
        if plain:
            models.append(_model(owner, OK, typing.Union[tuple(plain)]))  # noqa: UP007
        by_status: dict[int, ResponseModel] = {model.status: model for model in models}
        return cls(by_status, raw=bool(raw), file=any(part in FILES for part in parts), empty=NoContent in parts)

    @cached_property
    def _serializers(self) -> dict[type, SchemaSerializer]:
        """Those of the classes whose instances need no check before they are serialized."""
        models = self.by_status.values()
        return {model.annotation: model.adapter.serializer for model in models if model.status is OK and model.is_class}

    def respond(self, request: Request, result: Any) -> BaseHTTPResponse | ResponseStream:
        """The response for the result of a method that is neither a stream nor a file."""
        serializer = self._serializers.get(type(result))
        if serializer is not None:
            response: HTTPResponse = envelope_of(request.app).enclose(to_json(serializer, result))
        elif isinstance(result, RESPONSES):
            return result
        else:
            response = self._response(request, result)
        if (more := request.ctx.response_headers) is not None:
            response.headers.extend(more)
        return response

    def _response(self, request: Request, result: Any) -> HTTPResponse:
        if isinstance(result, NoContent):
            return HTTPResponse(status=NoContent.status)
        status: int = OK
        headers = None
        if isinstance(result, WithStatus):
            status = result.status
            headers = {"Location": location_header(result.location)} if result.location else None
            result = result.data
        model = self.by_status[status]
        if model.has_version and (tag := entity_tag(result)) is not None:
            headers = {**(headers or {}), "ETag": tag}
            if request.method in SAFE and is_not_modified(request, tag):
                return HTTPResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        envelope = envelope_of(request.app)
        if model.page is None:
            return envelope.enclose(model.json(result), status, headers)
        return envelope.success(request, model.page_data(result), status, headers)


def response_headers(request: Request) -> Header:
    """The headers that a method adds to its response, such as `Set-Cookie`. An error has none of them."""
    if request.ctx.response_headers is None:
        request.ctx.response_headers = Header()
    return request.ctx.response_headers


def _event_data(kind: Any) -> Any:
    """The type of the data of an EventStream; None for another stream."""
    events = [part for part in typing.get_args(kind) if typing.get_origin(part) is Event]
    return typing.get_args(events[0])[0] if events else None


def _event_model(owner: str, data: Any) -> ResponseModel:
    if isinstance(data, typing.TypeVar):
        raise SanicBaseError(f"{owner}: declare the type of the events: EventStream[Article].")
    model = _model(owner, OK, data)
    if model.page is not None:
        raise SanicBaseError(f"{owner}: an event is no page. Send its rows: EventStream[list[Article]].")
    return model


def _is_with_status(annotation: Any) -> bool:
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, WithStatus)


def _model_with_status(owner: str, annotation: Any) -> ResponseModel:
    kind = typing.get_origin(annotation)
    if kind is None:
        raise SanicBaseError(f"{owner}: declare the type: {annotation.__name__}[Article].")
    return _model(owner, HTTPStatus(kind.status), typing.get_args(annotation)[0])


def _model(owner: str, status: HTTPStatus, annotation: Any) -> ResponseModel:
    kind = typing.get_origin(annotation) or annotation
    page = next((page for page in (Page, KeysetPage) if kind is page), None)
    if page is not None:
        items = (*typing.get_args(annotation), Any)[0]
        annotation = list.__class_getitem__(items)
    try:
        adapter, is_instance = TypeAdapter(annotation), _is_instance(annotation)
        versioned, writer = has_version(annotation), plain_writer(annotation)
        return ResponseModel(status, annotation, adapter, is_instance, page, versioned, writer)
    except PydanticUserError as exc:
        raise SanicBaseError(
            f"{owner}: it returns {annotation}, which pydantic cannot serialize as JSON. Return a pydantic model, or "
            "HTTPResponse."
        ) from exc


def _is_instance(annotation: Any) -> Callable[[Any], bool]:
    """A check whether a value has the annotated type. It covers models only, because pydantic serializes any object
    that has some of a model's fields."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in UNIONS:
        choices = [_is_instance(argument) for argument in arguments]
        return lambda value: any(is_choice(value) for is_choice in choices)
    if origin is list:
        is_item = _is_instance(arguments[0])
        exact = frozenset(kind for kind in arguments if isinstance(kind, type))
        # Most lists have items of that very class only, which takes no call for each.
        return lambda value: (
            isinstance(value, list) and (exact.issuperset(map(type, value)) or all(map(is_item, value)))
        )
    if isinstance(annotation, type) and (annotation is type(None) or issubclass(annotation, BaseModel)):
        return lambda value: isinstance(value, annotation)
    return lambda value: True


async def send_stream(request: Request, chunks: Any, kind: type) -> None:
    """Send the chunks of a stream, which are all bytes or all str."""
    if not hasattr(chunks, "__aiter__"):
        chunks = await chunks
    content_type = "text/plain; charset=utf-8" if kind is str else "application/octet-stream"
    response = await request.respond(content_type=content_type)
    assert response is not None  # noqa: S101  (nothing has been sent before)
    # A client that disconnects cancels this between two chunks: a generator's `finally` must not wait for the garbage
    # collector.
    async with aclosing(chunks) if hasattr(chunks, "aclose") else nullcontext():
        async for chunk in chunks:
            await response.send(chunk)
            if request.method == "HEAD":
                assert isinstance(request.stream, Http)  # noqa: S101
                request.stream.head_response_ignored(b"", True)  # Sanic's send awaits it, and it is not async
                return
    await response.eof()


def location_header(text: str) -> str:
    """The value of the header Location: a URI reference, with the host in IDNA and the rest percent-encoded.

    Existing escapes are kept. Raises SanicBaseError for control characters, which could end the header, and for an
    invalid URL.
    """
    if CONTROLS.search(text):
        raise SanicBaseError(
            f"A Location must not contain control characters: {text!r}. URL-encode values that clients sent."
        )
    try:
        parts = urlsplit(text)
        authority = _authority(parts) if parts.netloc else ""
    except ValueError as exc:  # including the UnicodeError of a host
        raise SanicBaseError(f"The Location {text!r} is not a URL: {exc}.") from exc
    rest = STRAY_PERCENT.sub("%25", parts._replace(netloc=authority).geturl())
    return quote(rest, safe=URI_CHARACTERS, errors="strict")


def _authority(parts: SplitResult) -> str:
    """The authority with its host in ASCII. Browsers do not resolve a percent-encoded host."""
    user, at, address = parts.netloc.rpartition("@")
    if address.isascii():
        return parts.netloc
    host, colon, port = address.partition(":")
    return f"{user}{at}{host.encode('idna').decode()}{colon}{port}"
