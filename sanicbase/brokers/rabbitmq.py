"""The connection to RabbitMQ, through aio-pika.

It does not use `connect_robust`: a delivery belongs to its channel, and its owner must learn that the channel is
closed, because RabbitMQ then gives the delivery to another worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika import connect
from aio_pika.abc import AbstractChannel, AbstractConnection
from pamqp.common import FieldTable
from yarl import URL

from sanicbase.brokers.connection import Broker

__all__ = ["RabbitBroker", "rabbit_errors"]

HEARTBEAT = 6  # seconds; a server closes the connection of a machine that is silent for twice as long


class RabbitBroker(Broker):
    """One connection, and one channel on which everything is published with confirms."""

    server = "RabbitMQ"
    _connection: AbstractConnection | None = None
    _publishing: AbstractChannel | None = None

    async def publishing(self) -> AbstractChannel:
        """The channel for publishing and declaring, which is replaced after it was lost. Raises OSError and
        TimeoutError."""
        async with self._lock:
            if self._publishing is None or self._publishing.is_closed:
                self._publishing = await self._channel()
            return self._publishing

    async def consuming(self) -> AbstractChannel:
        """A new channel, which the caller closes. Raises OSError and TimeoutError."""
        async with self._lock:
            return await self._channel()

    async def check(self) -> None:
        with rabbit_errors():
            await (await self.consuming()).close()

    async def close(self) -> None:
        connection, self._connection, self._publishing = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _channel(self) -> AbstractChannel:
        with rabbit_errors():
            # aio-pika's `is_closed` does not tell that the server has gone, but that `close` was called.
            if self._connection is None or not self._connection.connected.is_set():
                url = URL(self.url)
                if "heartbeat" not in url.query:
                    url = url.update_query(heartbeat=str(HEARTBEAT))
                properties: FieldTable = {"connection_name": self.service}
                self._connection = await connect(url, timeout=self.timeout, client_properties=properties)
            return await self._connection.channel(on_return_raises=True)


@contextmanager
def rabbit_errors() -> Iterator[None]:
    """Raise ConnectionError instead of what aio-pika raises, which may be a plain Exception when a connection ends."""
    try:
        yield
    except (OSError, TimeoutError):
        raise
    except Exception as exc:
        raise ConnectionError(f"{type(exc).__name__}: {exc}") from exc
