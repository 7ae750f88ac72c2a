"""The connection to NATS, through nats-py.

The client does not reconnect by itself: a pull request to JetStream belongs to the connection on which it was sent, and
a caller that waits for its messages must learn that the connection is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from sanicbase.brokers.connection import Broker

__all__ = ["NatsBroker", "nats_errors"]

logger = logging.getLogger("sanicbase.jobs")

PING_INTERVAL = 5  # seconds; after two unanswered pings, the connection is lost
ANSWER_TIMEOUT = 5.0  # seconds that JetStream has to respond


class NatsBroker(Broker):
    """One connection."""

    server = "NATS"
    _client: Client | None = None

    async def client(self) -> Client:
        """The client, connected. Raises OSError and TimeoutError."""
        async with self._lock:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = await self._connected()
            return self._client

    async def jetstream(self) -> JetStreamContext:
        """JetStream on that client. Raises the same errors as `client`."""
        return (await self.client()).jetstream(timeout=ANSWER_TIMEOUT)

    async def check(self) -> None:
        with nats_errors():
            await (await self.jetstream()).account_info()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> Client:
        client = Client()
        with nats_errors():
            try:
                await client.connect(
                    self.url,
                    name=self.service,
                    connect_timeout=max(1, round(self.timeout)),
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=PING_INTERVAL,
                    error_cb=_note,
                )
            except BaseException:
                await client.close()
                raise
        return client


async def _note(error: Exception) -> None:
    """What fails because of it says so."""
    logger.debug("The connection to NATS: %r", error)


@contextmanager
def nats_errors() -> Iterator[None]:
    """Raise ConnectionError instead of nats-py's errors, which are no OSError. Its TimeoutError is the built-in one."""
    try:
        yield
    except TimeoutError:
        raise
    except nats.errors.Error as exc:
        raise ConnectionError(f"{type(exc).__name__}: {exc}") from exc
