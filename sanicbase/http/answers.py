"""What a view returns, by its return annotation: understood once, and serialized by pydantic into bytes."""

from __future__ import annotations

import errno
import types
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUserError
from sanic.exceptions import NotFound
from sanic.http import Http
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse, ResponseStream, file

from sanicbase.db.pages import KeysetPage, Page
from sanicbase.errors import SanicBaseError
from sanicbase.http.envelope import Envelope
from sanicbase.http.location import as_uri
from sanicbase.http.returned import NoContent, Returned

__all__ = ["Answer", "Answers"]

RESPONSES = (BaseHTTPResponse, ResponseStream)
UNIONS = (typing.Union, types.UnionType)
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
STREAMS = (AsyncIterator, typing.AsyncGenerator, typing.AsyncIterable)


@dataclass(frozen=True)
class Answer:
    """One of the answers of a view: its status, its data, and the kind of page that the data is part of."""

    status: HTTPStatus
    adapter: TypeAdapter[Any]
    fits: Callable[[Any], bool]
    page: type[Page[Any]] | type[KeysetPage[Any]] | None = None

    def data(self, result: Any) -> object:
        """What goes into the envelope: the result, or its items where it is a page, as JSON already."""
        if self.page is None:
            return self._json(result)
        items: Any = self._json(list(result.items))
        if self.page is Page:
            return Page(items, result.total)
        return KeysetPage(items, result.next, result.previous)

    def _json(self, value: Any) -> orjson.Fragment:
        if not self.fits(value):  # a row, or a dictionary, may become what the annotation says
            value = self.adapter.validate_python(value)
        return orjson.Fragment(self.adapter.dump_json(value, by_alias=True, warnings="error"))


@dataclass(frozen=True)
class Answers:
    """All answers of a view: several when the annotation is a union such as `Created[Thing] | Thing`.

    `raw` tells that a method may return a response of Sanic's, `file` a Path, which is sent, `empty` a NoContent, and
    `stream` is the type of the pieces of a stream.
    """

    by_status: dict[HTTPStatus, Answer] = field(default_factory=dict)
    raw: bool = False
    file: bool = False
    empty: bool = False
    stream: type | None = None

    @classmethod
    def of(cls, owner: str, annotation: Any) -> Answers:
        """Understand a return annotation. Raises SanicBaseError."""
        if typing.get_origin(annotation) in STREAMS or annotation in STREAMS:
            kind = (*typing.get_args(annotation), bytes)[0]
            if kind not in (bytes, str):
                raise SanicBaseError(f"{owner}: a stream is of bytes or of str: -> AsyncIterator[bytes].")
            return cls(stream=kind)
        parts = typing.get_args(annotation) if typing.get_origin(annotation) in UNIONS else (annotation,)
        raw = [part for part in parts if isinstance(part, type) and issubclass(part, RESPONSES)]
        named = [part for part in parts if _is_returned(part)]
        plain = [part for part in parts if part not in raw and part not in named and part not in (Path, NoContent)]
        answers = [_returned(owner, part) for part in named]
        if plain:
            answers.append(_answer(owner, HTTPStatus.OK, typing.Union[tuple(plain)]))  # noqa: UP007
        return cls({each.status: each for each in answers}, raw=bool(raw), file=Path in parts, empty=NoContent in parts)

    async def respond(self, request: Request, result: Any) -> BaseHTTPResponse | ResponseStream | None:
        """The response for what a method returned; None where a stream has been sent already."""
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
        if isinstance(result, Returned):
            status, location, result = HTTPStatus(result.status), result.location, result.data
        envelope: Envelope = request.app.ctx.envelope
        headers = {"Location": as_uri(location)} if location else None
        return envelope.success(request, self.by_status[status].data(result), status, headers)


def _is_returned(annotation: Any) -> bool:
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, Returned)


def _returned(owner: str, annotation: Any) -> Answer:
    kind = typing.get_origin(annotation)
    if kind is None:
        raise SanicBaseError(f"{owner}: say of what: {annotation.__name__}[Article].")
    return _answer(owner, HTTPStatus(kind.status), typing.get_args(annotation)[0])


def _answer(owner: str, status: HTTPStatus, annotation: Any) -> Answer:
    kind = typing.get_origin(annotation) or annotation
    page = next((each for each in (Page, KeysetPage) if kind is each), None)
    if page is not None:
        items = (*typing.get_args(annotation), Any)[0]
        annotation = list.__class_getitem__(items)
    try:
        return Answer(status, TypeAdapter(annotation), _fitting(annotation), page)
    except PydanticUserError as exc:
        raise SanicBaseError(
            f"{owner}: it returns {annotation}, of which pydantic can make no JSON. Return a pydantic model, or "
            "HTTPResponse."
        ) from exc


def _fitting(annotation: Any) -> Callable[[Any], bool]:
    """Whether a value is what the annotation says, as far as models go: pydantic serializes anything for a model that
    has some of its fields."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in UNIONS:
        choices = [_fitting(each) for each in arguments]
        return lambda value: any(fits(value) for fits in choices)
    if origin is list:
        item = _fitting(arguments[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if isinstance(annotation, type) and (annotation is type(None) or issubclass(annotation, BaseModel)):
        return lambda value: isinstance(value, annotation)
    return lambda value: True


async def _file(path: Path) -> HTTPResponse:
    """The file. Raises NotFound where there is none: it may have been deleted since the view looked at it."""
    try:
        return await file(path)
    except ValueError as exc:  # a NUL in its name
        raise NotFound("There is no such file.") from exc
    except OSError as exc:
        if exc.errno in NO_FILE:
            raise NotFound("There is no such file.") from exc
        raise


async def _stream(request: Request, pieces: Any, kind: type) -> None:
    if not hasattr(pieces, "__aiter__"):
        pieces = await pieces
    content_type = "text/plain; charset=utf-8" if kind is str else "application/octet-stream"
    response = await request.respond(content_type=content_type)
    assert response is not None  # noqa: S101  (nothing has been sent before)
    # A client that leaves cancels this between two pieces: a generator's `finally` must not wait for the collector.
    async with aclosing(pieces) if hasattr(pieces, "aclose") else nullcontext():
        async for piece in pieces:
            await response.send(piece)
            if request.method == "HEAD":
                assert isinstance(request.stream, Http)  # noqa: S101
                request.stream.head_response_ignored(b"", True)  # Sanic's send awaits it, and it is not async
                return
    await response.eof()
