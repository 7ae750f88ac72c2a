"""Where an app listens."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sanic import Blueprint

from sanicbase.config import Config
from sanicbase.errors import ResourceError
from sanicbase.server.holder import holder_of

__all__ = ["Kind", "Listening", "kind_of", "listening"]

Kind = Literal["http", "ws"]


@dataclass(frozen=True)
class Listening:
    """An address, the setting that names its port, and the processes that share it."""

    host: str
    port: int
    setting: str
    workers: int
    backlog: int = 1024  # connections that wait while all workers are busy, or one is replaced

    def open(self) -> socket.socket:
        """A socket bound to the address, which does not listen yet. Raises ResourceError, with who has the port."""
        try:
            family, *_ = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            bound = socket.socket(family, socket.SOCK_STREAM)
        except OSError as exc:
            raise ResourceError(self._refusal(str(exc.strerror), "Correct HOST")) from exc
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, self.port))
        except OSError as exc:
            bound.close()
            remedy = f"Set {self.setting}"
            if exc.errno == errno.EADDRINUSE:
                remedy = f"Stop {holder_of(self.port) or 'whoever has it'}, or set {self.setting}"
            raise ResourceError(self._refusal(str(exc.strerror), remedy)) from exc
        return bound

    def _refusal(self, cause: str, remedy: str) -> str:
        return f"Cannot listen on {self.host}:{self.port}: {cause}. {remedy}."


def kind_of(blueprints: Sequence[Blueprint]) -> Kind:
    """`ws` when every route of the blueprints is a WebSocket, `http` otherwise."""
    routes = [route for blueprint in blueprints for route in blueprint._future_routes]  # noqa: SLF001
    return "ws" if routes and all(route.websocket for route in routes) else "http"


def listening(config: Config, kind: Kind) -> Listening:
    """Where the configuration has that kind of app listen."""
    port = config.HTTP_PORT if kind == "http" else config.WS_PORT
    return Listening(config.HOST, port, f"{config.env_prefix()}{kind.upper()}_PORT", config.WORKERS)
