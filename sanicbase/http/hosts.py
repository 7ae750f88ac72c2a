"""The host names of a service, and the pages that may open its WebSockets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from sanic.exceptions import Forbidden, SanicException
from sanic.request import Request

from sanicbase.config.addresses import check_origin
from sanicbase.http.cors import CORS, origin_of
from sanicbase.http.errors.exceptions import printable

__all__ = ["AllowedHosts", "PageOrigins"]

AnyRequest = Request[Any, Any]

HEALTH: Final = frozenset(("/livez", "/readyz"))
"""Paths that load balancers and Kubernetes request by IP address. Their responses do not depend on the host."""
PORT = re.compile(r":\d*\Z")
LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
CREDENTIALS: Final = ("cookie", "authorization")


class AllowedHosts:
    """The names in ALLOWED_HOSTS. A name with a leading dot includes its subdomains."""

    def __init__(self, hosts: Iterable[str]) -> None:
        hosts = list(hosts)
        self._names = frozenset(host.removeprefix(".") for host in hosts)
        self._suffixes = tuple(host for host in hosts if host.startswith("."))

    def check(self, request: AnyRequest) -> None:
        """Refuse a request for another host (RFC 9110, 7.4): 421, as a SanicException. Health checks may name any
        host."""
        host = host_name(request.host)
        if host in self._names or host.endswith(self._suffixes) or request.path in HEALTH:
            return
        raise SanicException(f"The service does not serve the host {printable(host)!r}.", 421, quiet=True)


class PageOrigins:
    """The pages that may open a WebSocket, or change something with a cookie: those of the service's own host, and of
    the origins in its CORS rules.

    Browsers send cookies with every WebSocket, whatever page opens it, and let that page read the messages. With `*`,
    every page may open one, without credentials. `allows_loopback` admits all pages of the developer's machine.
    """

    def __init__(self, cors: CORS, *, allows_loopback: bool) -> None:
        self._cors = cors
        self._allows_loopback = allows_loopback

    def check(self, request: AnyRequest) -> None:
        """Refuse a WebSocket of a page of another origin: Forbidden."""
        if not self.allows(request):
            origin = printable(origin_of(request) or "")
            raise Forbidden(
                f"A page of the origin {origin!r} must not open this WebSocket. Add it to CORS_ORIGINS.", quiet=True
            )

    def allows(self, request: AnyRequest) -> bool:
        """Whether the page that sends the request is one of these. Programs other than browsers send no Origin, and are
        admitted."""
        if "origin" not in request.headers:
            return True
        origin = origin_of(request)
        cors = getattr(request.route.ctx, "cors", None) or self._cors if request.route is not None else self._cors
        if cors.allows(origin) or (origin is not None and self._is_own(request, origin)):
            return True
        return cors.allows_any and not any(name in request.headers for name in CREDENTIALS)

    def _is_own(self, request: AnyRequest, origin: str) -> bool:
        scheme, mark, authority = origin.partition("://")
        if not mark or scheme not in ("http", "https"):
            return False
        if self._allows_loopback and PORT.sub("", authority) in LOOPBACK:
            return True
        if request.scheme in ("wss", "https") and scheme != "https":
            return False
        try:
            return check_origin(f"{scheme}://{request.host}") == origin
        except ValueError:
            return False


def host_name(host: str) -> str:
    """The name in a host, in lower case, without its port and the dot of the root."""
    return PORT.sub("", host).lower().removesuffix(".")
