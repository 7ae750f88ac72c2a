"""The address that an app binds to."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sanic import Blueprint

from sanicbase.config import Config
from sanicbase.errors import ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.metrics.endpoint import MetricsAddress
from sanicbase.server.port_owner import port_owner

__all__ = ["AppKind", "BindAddress", "app_kind", "bind_address", "metrics_address"]

AppKind = Literal["http", "ws"]


@dataclass(frozen=True)
class BindAddress:
    """An address, the setting of its port, and the number of workers that share it."""

    host: str
    port: int
    setting: str
    workers: int
    backlog: int = 1024  # connections that wait while all workers are busy or one is replaced

    def bind(self) -> socket.socket:
        """A socket bound to the address, which does not listen yet.

        Raises ResourceError; when the port is in use, its message names the process that owns it.
        """
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            bound = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:
            raise ResourceError(self._error(str(exc.strerror), _("Correct {setting}", setting="HOST"))) from exc
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
        except OSError as exc:
            bound.close()
            remedy = _("Set {setting}", setting=self.setting)
            if exc.errno == errno.EADDRINUSE:
                owner = port_owner(self.port) or _("the process that uses it")
                remedy = _("Stop {process}, or set {setting}", process=owner, setting=self.setting)
            raise ResourceError(self._error(str(exc.strerror), remedy)) from exc
        return bound

    def _error(self, cause: str, remedy: str) -> str:
        return _(
            "Cannot listen on {host}:{port}: {cause}. {remedy}.",
            host=self.host,
            port=self.port,
            cause=cause,
            remedy=remedy,
        )


def app_kind(blueprints: Sequence[Blueprint]) -> AppKind:
    """`ws` when every route of the blueprints is a WebSocket, `http` otherwise."""
    routes = [route for blueprint in blueprints for route in blueprint._future_routes]  # noqa: SLF001
    return "ws" if routes and all(route.websocket for route in routes) else "http"


def bind_address(config: Config, kind: AppKind) -> BindAddress:
    """The address of an app of that kind, by the settings."""
    port = config.HTTP_PORT if kind == "http" else config.WS_PORT
    return BindAddress(config.HOST, port, f"{config.env_prefix()}{kind.upper()}_PORT", config.WORKERS)


def metrics_address(config: Config, kind: AppKind) -> MetricsAddress | None:
    """The address at which the metrics of an app of that kind are served; None where they are off."""
    port = config.HTTP_METRICS_PORT if kind == "http" else config.WS_METRICS_PORT
    setting = f"{config.env_prefix()}{kind.upper()}_METRICS_PORT"
    return MetricsAddress(config.METRICS_HOST, port, setting, config.METRICS_TOKEN) if port else None
