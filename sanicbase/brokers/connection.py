"""Broker: the base of the connections to RabbitMQ and NATS, and the one of this process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from sanicbase.config import Config
from sanicbase.errors import ResourceError

__all__ = ["Broker", "get_broker"]

_opened: list[Broker] = []  # by the lifespan, which empties it


class Broker(ABC):
    """A resource of the lifespan. It connects on first use, and again after the connection was lost.

    A lock makes concurrent callers wait for one attempt. A caller that is cancelled in the meantime closes the attempt.
    """

    name = "jobs"
    critical = False  # jobs wait in the outbox without it
    server: ClassVar[str]
    """The name of the server, for messages."""

    def __init__(self, config: Config) -> None:
        self.url = config.JOBS_URL
        self.timeout = config.CONNECT_TIMEOUT
        self.service = config.SERVER_NAME
        self._setting = f"{config.env_prefix()}JOBS_URL"
        self.declared: dict[str, object] = {}
        """The channel or client on which each queue was declared, by its name, so that it is declared once."""
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        _opened.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _opened.remove(self)
        await self.close()

    async def ping(self) -> None:
        """Raises ResourceError when the server does not respond, or refuses the credentials."""
        try:
            async with asyncio.timeout(self.timeout):
                await self.check()
        except (OSError, TimeoutError) as exc:
            raise ResourceError(
                f"{self.server} does not answer ({exc}). Start it, or set {self._setting} to another one."
            ) from exc

    @abstractmethod
    async def check(self) -> None:
        """Send a request to the server. Raises OSError or TimeoutError."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection, if there is one."""


def get_broker() -> Broker | None:
    """The broker of JOBS_URL; None without it, and outside a lifespan."""
    return _opened[-1] if _opened else None
