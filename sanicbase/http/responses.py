"""The responses of a view, by its return annotation, which is read once; pydantic serializes the data into bytes."""

from __future__ import annotations

import errno
import re
import types
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from sanic.exceptions import NotFound
from sanic.http import Http
from sanic.response import BaseHTTPResponse, HTTPResponse, ResponseStream, file

from sanicbase.db.pagination import KeysetPage, Page
from sanicbase.errors import SanicBaseError
from sanicbase.http.envelope import envelope_of
from sanicbase.http.request import Request
from sanicbase.http.return_types import NoContent, WithStatus

__all__ = ["ResponseModel", "Responses"]

RESPONSES = (BaseHTTPResponse, ResponseStream)
UNIONS = (typing.Union, types.UnionType)
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
URI_CHARACTERS = "%!#$&'()*+,/:;=?@[]~"  # besides letters and digits (RFC 3986, 2.2 and 2.3)
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")  # a per cent sign that begins no escape
STREAMS = (AsyncIterator, typing.AsyncGenerator, typing.AsyncIterable)


@dataclass(frozen=True)
class ResponseModel:
    """One response of a view: its status, the type of its data, and the page whose rows the data is, if any."""

    status: HTTPStatus
    adapter: TypeAdapter[Any]
    is_instance: Callable[[Any], bool]
    page: type[Page[Any]] | type[KeysetPage[Any]] | None = None

    def data(self, result: Any) -> object:
        """The data for the envelope, as JSON: the result, or a page of its rows."""
        if self.page is None:
            return self._json(result)
        items: Any = self._json(list(result.items))
        if self.page is Page:
            return Page(items, result.total)
        return KeysetPage(items, result.next, result.previous)

    def _json(self, value: Any) -> orjson.Fragment:
        if not self.is_instance(value):  # a row or a dictionary may be validated into a model
            value = self.adapter.validate_python(value)
        return orjson.Fragment(self.adapter.serializer.to_json(value, by_alias=True, warnings="error"))


@dataclass(frozen=True)
class Responses:
    """All responses of a view: more than one when the annotation is a union such as `Created[Thing] | Thing`.

    `raw` says that a method may return a response of Sanic's, `file` a Path, which is sent, `empty` a NoContent;
    `stream` is the type of the chunks of a stream.
    """

    by_status: dict[HTTPStatus, ResponseModel] = field(default_factory=dict)
    raw: bool = False
    file: bool = False
    empty: bool = False
    stream: type | None = None

    @classmethod
    def of(cls, owner: str, annotation: Any) -> Responses:
        """The responses of a return annotation. Raises SanicBaseError."""
        if typing.get_origin(annotation) in STREAMS or annotation in STREAMS:
            kind = (*typing.get_args(annotation), bytes)[0]
            if kind not in (bytes, str):
                raise SanicBaseError(f"{owner}: a stream yields bytes or str: -> AsyncIterator[bytes].")
            return cls(stream=kind)
        parts = typing.get_args(annotation) if typing.get_origin(annotation) in UNIONS else (annotation,)
        raw = [part for part in parts if isinstance(part, type) and issubclass(part, RESPONSES)]
        with_status = [part for part in parts if _is_with_status(part)]
        plain = [part for part in parts if part not in (*raw, *with_status, Path, NoContent)]
        models = [_model_with_status(owner, part) for part in with_status]
        if plain:
            models.append(_model(owner, HTTPStatus.OK, typing.Union[tuple(plain)]))  # noqa: UP007
        by_status = {model.status: model for model in models}
        return cls(by_status, raw=bool(raw), file=Path in parts, empty=NoContent in parts)

    async def respond(self, request: Request, result: Any) -> BaseHTTPResponse | ResponseStream | None:
        """The response for the result of a method; None when a stream was sent."""
        if isinstance(result, RESPONSES):
            return result
        if self.stream is not None:
            await _stream(request, result, self.stream)
            return None
        if isinstance(result, Path):
            return await _file(result)
        if isinstance(result, NoContent):
            return HTTPResponse(status=NoContent.status)
        status, location = HTTPStatus.OK, ""
        if isinstance(result, WithStatus):
            status, location, result = HTTPStatus(result.status), result.location, result.data
        headers = {"Location": location_header(location)} if location else None
        return envelope_of(request.app).success(request, self.by_status[status].data(result), status, headers)


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
        return ResponseModel(status, TypeAdapter(annotation), _is_instance(annotation), page)
    except PydanticUserError as exc:
        raise SanicBaseError(
            f"{owner}: it returns {annotation}, which pydantic cannot serialize as JSON. Return a pydantic model, or "
            "HTTPResponse."
        ) from exc


def _is_instance(annotation: Any) -> Callable[[Any], bool]:
    """A check whether a value is of the annotated type, as far as models go: pydantic serializes anything for a model
    that has some of its fields."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in UNIONS:
        choices = [_is_instance(argument) for argument in arguments]
        return lambda value: any(is_choice(value) for is_choice in choices)
    if origin is list:
        is_item = _is_instance(arguments[0])
        return lambda value: isinstance(value, list) and all(map(is_item, value))
    if isinstance(annotation, type) and (annotation is type(None) or issubclass(annotation, BaseModel)):
        return lambda value: isinstance(value, annotation)
    return lambda value: True


async def _file(path: Path) -> HTTPResponse:
    """The file as a response. Raises NotFound when it does not exist: it may have been deleted in the meantime."""
    try:
        return await file(path)
    except ValueError as exc:  # a NUL in its name
        raise NotFound("The file does not exist.") from exc
    except OSError as exc:
        if exc.errno in NO_FILE:
            raise NotFound("The file does not exist.") from exc
        raise


async def _stream(request: Request, chunks: Any, kind: type) -> None:
    if not hasattr(chunks, "__aiter__"):
        chunks = await chunks
    content_type = "text/plain; charset=utf-8" if kind is str else "application/octet-stream"
    response = await request.respond(content_type=content_type)
    assert response is not None  # noqa: S101  (nothing has been sent before)
    # A client that leaves cancels this between two chunks: a generator's `finally` must not wait for the collector.
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

    Escapes stay. Raises SanicBaseError for control characters, which would end the header, and for an invalid URL.
    """
    if CONTROLS.search(text):
        raise SanicBaseError(
            f"A Location must not contain control characters: {text!r}. URL-encode values that clients sent."
        )
    try:
        parts = urlsplit(text)
        authority = _authority(parts) if parts.netloc else ""
    except ValueError as exc:  # UnicodeError of the host included
        raise SanicBaseError(f"The Location {text!r} is not a URL: {exc}.") from exc
    rest = STRAY_PERCENT.sub("%25", parts._replace(netloc=authority).geturl())
    return quote(rest, safe=URI_CHARACTERS, errors="strict")


def _authority(parts: SplitResult) -> str:
    """The authority with its host in ASCII. Browsers would not find a percent-encoded host."""
    user, at, address = parts.netloc.rpartition("@")
    if address.isascii():
        return parts.netloc
    host, colon, port = address.partition(":")
    return f"{user}{at}{host.encode('idna').decode()}{colon}{port}"
