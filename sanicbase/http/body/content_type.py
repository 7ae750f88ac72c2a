"""The Content-Type of a body."""

from __future__ import annotations

from typing import Any

from sanic.headers import parse_content_header
from sanic.request import Request

from sanicbase.http.errors.exceptions import FieldError, UnsupportedContentType

__all__ = ["MULTIPART", "URL_ENCODED", "check_content_encoding", "check_content_type", "content_type"]

MULTIPART = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"

UTF_8 = ("utf-8", "utf8", "us-ascii")


def content_type(request: Request[Any, Any]) -> tuple[str, dict[str, str]]:
    """The media type and its parameters; the type is empty if the request has none."""
    media_type, parameters = parse_content_header(request.headers.get("content-type", ""))
    return media_type, {name: str(value) for name, value in parameters.items()}


def check_content_type(request: Request[Any, Any], expected: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the media type and its parameters. Raises UnsupportedContentType unless it is one of the expected ones.

    A body without the header is refused as well, because browsers send it to other origins without a preflight.
    """
    headers = request.headers
    if (plain := headers.get("content-type")) in expected and "content-encoding" not in headers:
        return plain, {}
    media_type, named = content_type(request)
    if media_type not in expected and not (
        media_type.startswith("application/") and media_type.endswith("+json") and _json(expected)
    ):
        raise _unsupported(expected)
    check_content_encoding(request)
    if named.get("charset", "utf-8").lower() not in UTF_8:
        raise _unsupported(expected)
    return media_type, named


def check_content_encoding(request: Request[Any, Any]) -> None:
    """Refuse a compressed body, which could become a thousand times larger. Raises UnsupportedContentType."""
    if any(value.strip().lower() not in ("", "identity") for value in request.headers.getall("content-encoding", ())):
        error = UnsupportedContentType([FieldError.of("header.content-encoding", "content_encoding")])
        error.headers = {"Accept-Encoding": "identity"}  # RFC 9110, 12.5.3
        raise error


def _json(expected: tuple[str, ...]) -> bool:
    return "application/json" in expected


def _unsupported(expected: tuple[str, ...]) -> UnsupportedContentType:
    types = " or ".join(expected)
    return UnsupportedContentType([FieldError.of("header.content-type", "content_type", expected=f"{types}, in UTF-8")])
