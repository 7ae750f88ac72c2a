"""Cross-origin requests: which pages of other origins may read responses, by a list of origins (the Fetch standard,
https://fetch.spec.whatwg.org/#http-cors-protocol).

Origins are compared as strings. Browsers send them in one form, so a list needs no patterns, which are a common
vulnerability. `null` is the origin of any site's sandboxed frames; it is allowed only if it is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from sanicbase.config import Config
from sanicbase.config.addresses import (
    ANY_ORIGIN,
    CORS_EXPOSED_HEADERS,
    CORS_MAX_AGE,
    CORS_REQUEST_HEADERS,
    check_credentials,
    check_header_name,
    check_origin,
)
from sanicbase.edge.response import add_vary
from sanicbase.errors import SanicBaseError

__all__ = ["CORS", "CrossOriginRules", "origin_of"]

AnyRequest = Request[Any, Any]


@dataclass(frozen=True, eq=False)  # eq=False: Sanic hashes what a route has in its context
class CORS:
    """The origins whose pages may read the responses of a view, instead of those in CORS_ORIGINS.

        class NewsAPI(APIView, public=True, cors=CORS(["https://news.example.com"])): ...

    `["*"]` is every origin, and an empty list none. `credentials` lets browsers send cookies. `headers` are those that
    requests may have, `exposed_headers` those of responses that pages may read. Browsers cache the rules for `max_age`
    seconds. Raises SanicBaseError.
    """

    origins: Sequence[str]
    credentials: bool = False
    headers: Sequence[str] = CORS_REQUEST_HEADERS
    exposed_headers: Sequence[str] = CORS_EXPOSED_HEADERS
    max_age: int = CORS_MAX_AGE

    def __post_init__(self) -> None:
        if isinstance(self.origins, str):
            raise SanicBaseError(f"CORS: write a list of origins: CORS([{self.origins!r}]).")
        try:
            self._allowed  # noqa: B018  (it is computed and checked once)
            for name in (*self.headers, *self.exposed_headers):
                check_header_name(name)
            if self.credentials:
                check_credentials(self.origins)
        except ValueError as exc:
            raise SanicBaseError(f"CORS: {exc}.") from None

    @classmethod
    def of(cls, config: Config) -> CORS:
        """The rules of the settings."""
        return cls(
            config.CORS_ORIGINS,
            config.CORS_CREDENTIALS,
            config.CORS_HEADERS,
            config.CORS_EXPOSED_HEADERS,
            config.CORS_MAX_AGE,
        )

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(check_origin(origin) for origin in self.origins)

    @property
    def allows_any(self) -> bool:
        """Whether every origin is allowed."""
        return ANY_ORIGIN in self._allowed

    def allows(self, origin: str | None) -> bool:
        """Whether that origin is listed."""
        return origin is not None and origin in self._allowed and origin != ANY_ORIGIN

    @cached_property
    def _exposed(self) -> str:
        return ", ".join(self.exposed_headers)

    def add_headers(self, origin: str | None, response: BaseHTTPResponse) -> None:
        """Let the page of that origin read the response, unless the handler has set the headers itself."""
        headers = response.headers
        if self.allows_any:
            allowed = ANY_ORIGIN
        else:
            if not self._allowed:
                return
            add_vary(response, "Origin")
            if origin is None or origin not in self._allowed:
                return
            allowed = origin
        if "access-control-allow-origin" in headers:
            return
        headers["access-control-allow-origin"] = allowed
        if self.credentials:
            headers["access-control-allow-credentials"] = "true"
        if self._exposed:
            headers["access-control-expose-headers"] = self._exposed

    def preflight(self, origin: str | None, methods: Iterable[str]) -> HTTPResponse:
        """The response to a preflight for a path with these methods."""
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        response = HTTPResponse(status=204, headers={"Allow": allowed})
        if self.allows_any or self.allows(origin):
            response.headers["access-control-allow-methods"] = allowed
            response.headers["access-control-max-age"] = str(self.max_age)
            if self.headers:
                response.headers["access-control-allow-headers"] = ", ".join(self.headers)
        return response


class CrossOriginRules:
    """The CORS rules of an app: those of its settings, and those of views that have their own.

    `methods_at` yields the methods of a request's path, and `cors_at` the rules of the view there; both ask the router.
    """

    def __init__(
        self,
        default: CORS,
        *,
        methods_at: Callable[[AnyRequest], Iterable[str]],
        cors_at: Callable[[AnyRequest], CORS | None],
    ) -> None:
        self._default = default
        self._methods_at = methods_at
        self._cors_at = cors_at

    def add_headers(self, request: AnyRequest, response: BaseHTTPResponse) -> None:
        """The response hook."""
        route = request.route  # None for a request that was refused earlier, and if there is none
        cors = self._cors_at(request) if route is None else getattr(route.ctx, "cors", None)
        (cors or self._default).add_headers(origin_of(request), response)

    def answer_preflight(self, request: AnyRequest) -> HTTPResponse | None:
        """The response to a preflight request for an existing path, before any guard; None for other requests."""
        headers = request.headers
        if request.method != "OPTIONS" or "access-control-request-method" not in headers or "origin" not in headers:
            return None
        methods = list(self._methods_at(request))
        if not methods:
            return None
        return (self._cors_at(request) or self._default).preflight(origin_of(request), methods)


def origin_of(request: AnyRequest) -> str | None:
    """The header Origin of a request; None if it has none, or several."""
    origins: Sequence[str] = request.headers.getall("origin", ())
    return origins[0] if len(origins) == 1 else None
