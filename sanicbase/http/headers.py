"""Headers that are refused before a handler reads them."""

from __future__ import annotations

from sanic.exceptions import BadRequest
from sanic.request import Request
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader

from sanicbase.http.mistakes import InvalidParameters, Mistake, printable

__all__ = ["InvalidHeaders", "check_handshake", "check_headers"]

SINGLE = ("authorization", "content-type")


class InvalidHeaders(InvalidParameters):
    """A header says two things at once. 400."""

    status_code = 400


def check_headers(request: Request) -> None:
    """Refuse a header that is sent twice although it has one value only (RFC 9110, 5.3): a proxy may believe one of
    them and the service the other. Raises InvalidHeaders."""
    repeated = [name for name in SINGLE if len(request.headers.getall(name, ())) > 1]
    if repeated:
        raise InvalidHeaders([Mistake.of(f"header.{name}", "repeated") for name in repeated])


def check_handshake(request: Request) -> None:
    """Refuse the headers that the websockets package cannot read; Sanic would answer 500. Raises BadRequest."""
    try:
        Headers(request.headers)
    except InvalidHeader as exc:
        name = printable(exc.name)
        raise BadRequest(f"The header {name} holds a character that a WebSocket handshake cannot have.") from None
