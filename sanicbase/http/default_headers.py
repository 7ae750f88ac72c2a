"""Headers that every response has unless its handler has set them: rules for browsers and caches, and the request id.

| header | by default | setting |
|---|---|---|
| X-Content-Type-Options | `nosniff` | NOSNIFF |
| Referrer-Policy | `same-origin` | REFERRER_POLICY |
| Content-Security-Policy | `frame-ancestors 'none'` | FRAME_ANCESTORS |
| Strict-Transport-Security | for a year, in prod, over TLS only (RFC 6797, 7.2) | HSTS_MAX_AGE |
| Cache-Control | `no-store`, for requests with credentials | NO_STORE |
| X-Request-ID | the request's id | |

A shared cache must not store the response to a request with `Authorization` (RFC 9111, 3.5), but browsers may, and a
shared cache may store the response to a request with a cookie or a key in another header. Such responses are therefore
`no-store`, unless the handler has set the header itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sanic.compat import Header
from sanic.request import Request
from sanic.response import BaseHTTPResponse

from sanicbase.config import Config
from sanicbase.edge.sockets import uses_tls
from sanicbase.http.guards import Security

__all__ = ["DefaultHeaders", "credential_headers"]

AnyRequest = Request[Any, Any]

STANDARD = ("authorization", "cookie")


class DefaultHeaders:
    """The default headers of an app. Those that do not depend on the request are encoded once."""

    def __init__(self, config: Config, *, id_header: str, credentials: Collection[str]) -> None:
        self._fixed = dict(_fixed(config))
        self._id_header = id_header.lower()
        self._credentials = tuple(credentials) if config.NO_STORE else ()
        self._hsts = f"max-age={config.HSTS_MAX_AGE}" if config.HSTS_MAX_AGE and config.ENV == "prod" else ""
        self._names = (*self._fixed, "cache-control", "expires", "strict-transport-security", self._id_header)
        self._blocks = {
            (is_private, is_secure): _lines(self._variable(is_private, is_secure) | {self._id_header: ""})[:-2]
            for is_private in (False, True)
            for is_secure in (False, True)
        }

    def lines(self, request: AnyRequest, response: BaseHTTPResponse) -> bytes:
        """The lines that the response lacks, each with its line break."""
        headers = response.headers
        if headers:
            for name in self._names:
                if name in headers:
                    return _lines(self._missing(request, headers))
        sent, is_private = request.headers, False
        for name in self._credentials:
            if name in sent:
                is_private = True
                break
        block = self._blocks[is_private, self._hsts != "" and is_secure(request)]
        return b"%b%b\r\n" % (block, str(request.id).encode())

    def add(self, request: AnyRequest, response: BaseHTTPResponse) -> None:
        """Add those that the response lacks to its headers."""
        response.headers.update(self._missing(request, response.headers))

    def _missing(self, request: AnyRequest, headers: Header) -> dict[str, str]:
        is_private = any(name in request.headers for name in self._credentials) and "expires" not in headers
        defaults = self._variable(is_private, bool(self._hsts) and is_secure(request))
        defaults[self._id_header] = str(request.id)
        return {name: value for name, value in defaults.items() if name not in headers}

    def _variable(self, is_private: bool, is_secure: bool) -> dict[str, str]:
        headers = dict(self._fixed)
        if is_private:
            headers["cache-control"] = "no-store"
        if is_secure:
            headers["strict-transport-security"] = self._hsts
        return headers


def credential_headers(schemes: Iterable[Security]) -> list[str]:
    """The headers of requests that carry credentials: the standard ones, and those that views name in `security`."""
    named = {
        str(scheme["name"]).lower()
        for security in schemes
        for scheme in security.values()
        if scheme.get("type") == "apiKey" and scheme.get("in") == "header"
    }
    return [*STANDARD, *sorted(named - set(STANDARD))]


def is_secure(request: AnyRequest) -> bool:
    """Whether the client uses TLS: to the service itself, or to a trusted proxy."""
    if request.app.ctx.trusted_proxies is not None and (proto := request.forwarded.get("proto")) is not None:
        return bool(proto == "https")
    connection = request.conn_info
    return uses_tls(request.transport) if connection is None else connection.ssl


def _fixed(config: Config) -> Iterable[tuple[str, str]]:
    if config.NOSNIFF:
        yield "x-content-type-options", "nosniff"
    if config.REFERRER_POLICY:
        yield "referrer-policy", config.REFERRER_POLICY
    if config.FRAME_ANCESTORS:
        yield "content-security-policy", f"frame-ancestors {config.FRAME_ANCESTORS}"


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("ascii")
