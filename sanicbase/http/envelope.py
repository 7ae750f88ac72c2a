"""The envelope of every answer: `{"code": 0, "msg": "ok", "data": …}`, with true HTTP status codes.

It is returned, never raised: an answer that is an exception rolls back the transaction around it.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from sanic.response import HTTPResponse

from sanicbase.db.pages import KeysetPage, Page

__all__ = ["failure", "success"]


def success(data: object, status: int = 200) -> HTTPResponse:
    """The answer for what a view returned: a model, a page, or anything that JSON has."""
    content: dict[str, Any] = {"code": 0, "msg": "ok", "data": data}
    if isinstance(data, Page):
        content |= {"data": data.items, "total": data.total}
    elif isinstance(data, KeysetPage):
        content |= {"data": data.items, "next": data.next, "previous": data.previous}
    return _response(content, status)


def failure(status: int, message: str, data: object = None, headers: dict[str, str] | None = None) -> HTTPResponse:
    """The answer for what went wrong; its code is the HTTP status."""
    return _response({"code": status, "msg": message, "data": data}, status, headers)


def _response(content: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> HTTPResponse:
    body = orjson.dumps(content, default=_plain)
    return HTTPResponse(body, status, headers, content_type="application/json")


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(f"A view returned {type(value).__name__}, which JSON does not have. Return a pydantic model.")
