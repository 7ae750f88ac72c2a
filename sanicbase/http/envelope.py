"""The envelope of every answer: what views return and what goes wrong, in one form.

    standard   {"code": 0, "msg": "ok", "data": …}; errors have the same members, and request_id
    plain      what a view returned, as it is; errors {"code", "message", "request_id", "errors"}
    problem    what a view returned, as it is; errors are problem documents (RFC 9457)

The HTTP status is true in each. An answer is returned, never raised: one that is an exception rolls back the
transaction around it and disappears in `except Exception`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.db.pages import KeysetPage, Page
from sanicbase.http.failure import Failure

__all__ = ["ENVELOPES", "Envelope", "PlainEnvelope", "ProblemEnvelope", "success"]

Schema = dict[str, Any]

CURSOR: Schema = {"type": ["string", "null"]}
MARKS: dict[type, Schema] = {
    Page: {"total": {"type": "integer", "minimum": 0}},
    KeysetPage: {"next": CURSOR, "previous": CURSOR},
}
FAULT: Schema = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["path", "code", "message"],
}


class Envelope:
    """The standard envelope, and the base of every other one.

    A service's own overrides `content` and `failure_content`, and for its document `success_schema` and
    `failure_schema`; status, headers and media type are seen to. It is given to `create_app(…, envelope=Own())`.
    """

    media_type = "application/json"
    failure_media_type = "application/json"

    def content(self, data: object, marks: Mapping[str, object]) -> object:
        """Override to say what is sent for what a view returned.

        `data` is the model or value, or the rows of a page; `marks` are what a page has besides them: `total`, or
        `next` and `previous`. The data may hold `orjson.Fragment`s, which are JSON that is made already.
        """
        return {"code": 0, "msg": "ok", "data": data, **marks}

    def failure_content(self, request: Request, failure: Failure) -> object:
        """Override to say what is sent for what went wrong."""
        return {
            "code": failure.code.code,
            "msg": failure.message,
            "data": [fault._asdict() for fault in failure.faults] or None,
            "request_id": failure.request_id,
        }

    def success_schema(self, data_schema: Schema, *, page: type | None = None) -> Schema:
        """Override to describe what `content` makes: `data_schema` is that of the data, of a page that of its rows."""
        marks = MARKS.get(page, {}) if page else {}
        ok: Schema = {"code": {"type": "integer", "const": 0}, "msg": {"type": "string", "const": "ok"}}
        properties = {**ok, "data": data_schema, **marks}
        return _object(properties)

    def failure_schema(self) -> Schema:
        """Override to describe what `failure_content` makes."""
        faults = {"type": ["array", "null"], "items": FAULT}
        properties = {
            "code": {"type": "integer", "minimum": 1},
            "msg": {"type": "string"},
            "data": faults,
            "request_id": {"type": "string"},
        }
        return _object(properties)

    def success(
        self, request: Request, data: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The answer for what a view returned: a model, a page, JSON as bytes, or anything that JSON has."""
        return _response(self.content(*_parted(data)), status, headers, self.media_type)

    def failure(self, request: Request, failure: Failure) -> HTTPResponse:
        """The answer for what went wrong."""
        content = self.failure_content(request, failure)
        headers = {"Content-Language": failure.language, "Vary": "Accept-Language", **failure.headers}
        return _response(content, failure.status, headers, self.failure_media_type)


class PlainEnvelope(Envelope):
    """No envelope: what a view returned, as it is. A page is an object with `items` and what else it has."""

    def content(self, data: object, marks: Mapping[str, object]) -> object:
        return {"items": data, **marks} if marks else data

    def failure_content(self, request: Request, failure: Failure) -> object:
        return {
            "code": failure.code.code,
            "message": failure.message,
            "request_id": failure.request_id,
            "errors": [fault._asdict() for fault in failure.faults],
        }

    def success_schema(self, data_schema: Schema, *, page: type | None = None) -> Schema:
        marks = MARKS.get(page) if page else None
        return _object({"items": data_schema, **marks}) if marks else data_schema

    def failure_schema(self) -> Schema:
        properties = {
            "code": {"type": "integer", "minimum": 1},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
            "errors": {"type": "array", "items": FAULT},
        }
        return _object(properties)


class ProblemEnvelope(PlainEnvelope):
    """Plain answers, and problem documents (RFC 9457) for errors: `type`, `title`, `status`, `detail`, `instance`, and
    besides them `code`, `request_id` and `errors`.

    The type of a service's own code is a URN of its name; a code that says no more than the status has "about:blank".
    """

    failure_media_type = "application/problem+json"

    def failure_content(self, request: Request, failure: Failure) -> object:
        name = failure.code.name
        return {
            "type": "about:blank" if failure.is_general else f"urn:problem-type:{name.lower().replace('_', '-')}",
            "title": HTTPStatus(failure.code.status).phrase
            if failure.is_general
            else name.replace("_", " ").capitalize(),
            "status": failure.status,
            "detail": failure.message,
            "instance": request.path,
            "code": failure.code.code,
            "request_id": failure.request_id,
            "errors": [fault._asdict() for fault in failure.faults],
        }

    def failure_schema(self) -> Schema:
        texts: Schema = {name: {"type": "string"} for name in ("type", "title", "detail", "instance", "request_id")}
        numbers: Schema = {name: {"type": "integer"} for name in ("status", "code")}
        return _object({**texts, **numbers, "errors": {"type": "array", "items": FAULT}})


ENVELOPES: dict[str, type[Envelope]] = {
    "standard": Envelope,
    "plain": PlainEnvelope,
    "problem": ProblemEnvelope,
}
"""What the setting ENVELOPE names."""


def success(data: object, status: int = 200) -> HTTPResponse:
    """The answer of the app that serves the current request, for a view or a plain handler that returns a response."""
    request: Request = Request.get_current()
    envelope: Envelope = request.app.ctx.envelope
    return envelope.success(request, data, status)


def _parted(data: object) -> tuple[object, Mapping[str, object]]:
    """What a view returned, apart from what a page has besides its rows."""
    if isinstance(data, Page):
        return data.items, {"total": data.total}
    if isinstance(data, KeysetPage):
        return data.items, {"next": data.next, "previous": data.previous}
    return orjson.Fragment(data) if isinstance(data, bytes) else data, {}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _response(content: object, status: int, headers: Mapping[str, str] | None, media_type: str) -> HTTPResponse:
    body = orjson.dumps(content, default=_plain)
    return HTTPResponse(body, status, dict(headers or {}), content_type=media_type)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"A view returned {type(value).__name__}, which JSON does not have. Return a pydantic model.")
