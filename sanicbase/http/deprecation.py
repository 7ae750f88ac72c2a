"""Deprecated routes: the headers Deprecation (RFC 9745) and Sunset (RFC 8594)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from functools import cached_property

from sanic import Blueprint
from sanic.response import BaseHTTPResponse

from sanicbase.errors import SanicBaseError
from sanicbase.http.request import Request
from sanicbase.server.context import App

__all__ = ["Deprecation", "deprecate", "install_deprecations"]


@dataclass(frozen=True)
class Deprecation:
    """When a route was deprecated, when it will be removed, and a link to more information.

    A date means midnight in UTC.

    ArticlesAPI.attach(http, "/articles", version=1, deprecated=Deprecation(date(2026, 7, 1)))
    deprecate(blueprint_of_v1, Deprecation(date(2026, 7, 1), sunset=date(2027, 1, 1)))
    """

    since: date
    sunset: date | None = None
    link: str = ""

    def __post_init__(self) -> None:
        if self.sunset is not None and _moment(self.sunset) < _moment(self.since):  # RFC 9745, 4
            raise SanicBaseError(f"Deprecation: the sunset {self.sunset} is before {self.since}. Set a later one.")

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers of every response."""
        headers = {"Deprecation": f"@{int(_moment(self.since).timestamp())}"}
        if self.sunset is not None:
            headers["Sunset"] = format_datetime(_moment(self.sunset), usegmt=True)
        if self.link:
            headers["Link"] = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return headers


def deprecate(blueprint: Blueprint, deprecation: Deprecation) -> None:
    """Declare every route of a blueprint deprecated, such as a version of an API."""
    blueprint.ctx.deprecation = deprecation


def install_deprecations(app: App) -> None:
    """Add the headers to the responses of deprecated routes, and of no others."""
    for blueprint in app.blueprints.values():
        if (declared := getattr(blueprint.ctx, "deprecation", None)) is not None:
            for route in blueprint.routes:
                route.ctx.deprecation = getattr(route.ctx, "deprecation", None) or declared
    for route in app.router.routes:
        if (deprecation := getattr(route.ctx, "deprecation", None)) is not None:
            app.register_named_middleware(_middleware(deprecation), [route.name], "response")


def _middleware(deprecation: Deprecation):  # type: ignore[no-untyped-def]
    async def add_headers(request: Request, response: BaseHTTPResponse) -> None:
        response.headers.update(deprecation.headers)

    return add_headers


def _moment(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.combine(value, time(), UTC)
