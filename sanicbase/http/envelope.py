"""The envelope of every response: the data that views return, and errors, in one form.

    standard   {"code": 0, "msg": "ok", "data": …}; errors have the same members, and request_id
    plain      what a view returned, as it is; errors {"code", "message", "request_id", "errors"}
    problem    what a view returned, as it is; errors are problem documents (RFC 9457)

The HTTP status is accurate in each of them. A response is returned, never raised: an exception would roll back the
transaction around it, and `except Exception` would catch it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import BaseModel
from sanic.compat import Header
from sanic.response import HTTPResponse

from sanicbase.db.pagination import EstimatedPage, KeysetPage, Page
from sanicbase.http.errors.problem import Problem
from sanicbase.http.request import AnyRequest, Request
from sanicbase.rc.moving_window import MovingWindows
from sanicbase.server.context import App, ServiceContext

__all__ = [
    "ENVELOPES",
    "DataResponse",
    "Envelope",
    "HTTPContext",
    "PlainEnvelope",
    "ProblemEnvelope",
    "envelope_of",
    "success",
]

Schema = dict[str, Any]


class DataResponse(HTTPResponse):
    """A response that has its body, as bytes. It is made at half the cost of Sanic's."""

    __slots__ = ()

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None, content_type: str) -> None:
        self.asgi = False
        self.body = body
        self.content_type = content_type
        self.stream = None
        self.status = status
        self.headers = Header(headers or ())
        self._cookies = None


NO_META: Mapping[str, object] = MappingProxyType({})
CURSOR: Schema = {"type": ["string", "null"]}
PAGE_META: dict[type, Schema] = {
    Page: {"total": {"type": "integer", "minimum": 0}},
    EstimatedPage: {"total": {"type": ["integer", "null"], "minimum": 0}, "estimated": {"type": "boolean"}},
    KeysetPage: {"next": CURSOR, "previous": CURSOR},
}
FIELD_ERROR: Schema = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["path", "code", "message"],
}


class Envelope:
    """The standard envelope, and the base of every other one.

    An envelope of a service overrides `content` and `error_content`, and for the OpenAPI document `success_schema` and
    `error_schema`. Status, headers and media type are set automatically. Pass it to
    `create_app(…, envelope=ShopEnvelope())`.
    """

    media_type = "application/json"
    error_media_type = "application/json"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "content" in vars(cls) and "_body" not in vars(cls):
            cls._body = _body_of_content  # type: ignore[method-assign, assignment]

    def content(self, data: object, meta: Mapping[str, object]) -> object:
        """Override to build the body from the data that a view returned.

        `data` is the model or value, or the rows of a page; `meta` is what a page has besides its rows: `total` (and
        `estimated`), or `next` and `previous`. The data may contain `orjson.Fragment`s, which are JSON already.
        """
        return {"code": 0, "msg": "ok", "data": data, **meta}

    def error_content(self, request: AnyRequest, problem: Problem) -> object:
        """Override to build the body of an error."""
        return {
            "code": problem.code.code,
            "msg": problem.message,
            "data": [error.content() for error in problem.errors] or None,
            "request_id": problem.request_id,
        }

    def success_schema(self, data_schema: Schema, *, page: type | None = None) -> Schema:
        """Override to describe what `content` returns: `data_schema` is that of the data, or of the rows of a page."""
        meta = PAGE_META.get(page, {}) if page else {}
        ok: Schema = {"code": {"type": "integer", "const": 0}, "msg": {"type": "string", "const": "ok"}}
        properties = {**ok, "data": data_schema, **meta}
        return _object(properties)

    def error_schema(self) -> Schema:
        """Override to describe what `error_content` returns."""
        errors = {"type": ["array", "null"], "items": FIELD_ERROR}
        properties = {
            "code": {"type": "integer", "minimum": 1},
            "msg": {"type": "string"},
            "data": errors,
            "request_id": {"type": "string"},
        }
        return _object(properties)

    def success(
        self, request: AnyRequest, data: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The response for what a view returned: a model, a page, JSON as bytes, or any JSON value."""
        return _response(self.content(*_split(data)), status, headers, self.media_type)

    def enclose(self, data: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
        """The response for data that is JSON already."""
        return DataResponse(self._body(data), status, headers, self.media_type)

    def _body(self, data: bytes) -> bytes:
        """What `content` makes of the data, without the dictionary."""
        return b'{"code":0,"msg":"ok","data":%b}' % data

    def error(self, request: AnyRequest, problem: Problem) -> HTTPResponse:
        """The response for an error."""
        content = self.error_content(request, problem)
        headers = {"Content-Language": problem.language, "Vary": "Accept-Language", **problem.headers}
        return _response(content, problem.status, headers, self.error_media_type)


class PlainEnvelope(Envelope):
    """No envelope: what a view returned, as it is. A page is an object with its rows as `items`, and its meta."""

    def content(self, data: object, meta: Mapping[str, object]) -> object:
        return {"items": data, **meta} if meta else data

    def _body(self, data: bytes) -> bytes:
        return data

    def error_content(self, request: AnyRequest, problem: Problem) -> object:
        return {
            "code": problem.code.code,
            "message": problem.message,
            "request_id": problem.request_id,
            "errors": [error.content() for error in problem.errors],
        }

    def success_schema(self, data_schema: Schema, *, page: type | None = None) -> Schema:
        meta = PAGE_META.get(page) if page else None
        return _object({"items": data_schema, **meta}) if meta else data_schema

    def error_schema(self) -> Schema:
        properties = {
            "code": {"type": "integer", "minimum": 1},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": FIELD_ERROR},
        }
        return _object(properties)


class ProblemEnvelope(PlainEnvelope):
    """Plain data, and problem documents (RFC 9457) for errors: `type`, `title`, `status`, `detail` and `instance`, plus
    `code`, `request_id` and `errors`.

    The type of a service's own code is a URN of its name; a code that says no more than the status has "about:blank".
    """

    error_media_type = "application/problem+json"

    def error_content(self, request: AnyRequest, problem: Problem) -> object:
        name = problem.code.name
        return {
            "type": "about:blank" if problem.is_general else f"urn:problem-type:{name.lower().replace('_', '-')}",
            "title": HTTPStatus(problem.code.status).phrase
            if problem.is_general
            else name.replace("_", " ").capitalize(),
            "status": problem.status,
            "detail": problem.message,
            "instance": request.path,
            "code": problem.code.code,
            "request_id": problem.request_id,
            "errors": [error.content() for error in problem.errors],
        }

    def error_schema(self) -> Schema:
        texts: Schema = {name: {"type": "string"} for name in ("type", "title", "detail", "instance", "request_id")}
        numbers: Schema = {name: {"type": "integer"} for name in ("status", "code")}
        return _object({**texts, **numbers, "errors": {"type": "array", "items": FIELD_ERROR}})


ENVELOPES: dict[str, type[Envelope]] = {
    "standard": Envelope,
    "plain": PlainEnvelope,
    "problem": ProblemEnvelope,
}
"""The envelopes that the setting ENVELOPE names."""


def success(data: object, status: int = 200) -> HTTPResponse:
    """A response in the envelope of the app that serves the current request, for a view or a plain handler."""
    request: AnyRequest = Request.get_current()
    return envelope_of(request.app).success(request, data, status)


@dataclass(eq=False, repr=False, kw_only=True)
class HTTPContext(ServiceContext):
    """The `app.ctx` of an app that has an envelope, as every app of `create_app` does."""

    envelope: Envelope
    event_streams: set[asyncio.Task[None]] = field(default_factory=set)
    """The producers of the open event streams."""
    windows: MovingWindows = field(init=False)
    """Counts requests for rate limits."""

    def __post_init__(self) -> None:
        self.windows = MovingWindows(lambda: self.config)


def envelope_of(app: App) -> Envelope:
    """The envelope of an app."""
    assert isinstance(app.ctx, HTTPContext)  # noqa: S101  (create_app makes no other)
    return app.ctx.envelope


def _split(data: object) -> tuple[object, Mapping[str, object]]:
    """The data that a view returned, and the meta of a page."""
    if isinstance(data, EstimatedPage):
        return data.items, {"total": data.total, "estimated": data.estimated}
    if isinstance(data, Page):
        return data.items, {"total": data.total}
    if isinstance(data, KeysetPage):
        return data.items, {"next": data.next, "previous": data.previous}
    return orjson.Fragment(data) if isinstance(data, bytes) else data, NO_META


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _body_of_content(envelope: Envelope, data: bytes) -> bytes:
    return orjson.dumps(envelope.content(orjson.Fragment(data), NO_META), default=_plain)


def _response(content: object, status: int, headers: Mapping[str, str] | None, media_type: str) -> HTTPResponse:
    body = orjson.dumps(content, default=_plain)
    return DataResponse(body, status, headers, media_type)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(
        f"A view returned {type(value).__name__}, which cannot be serialized as JSON. Return a pydantic model."
    )
