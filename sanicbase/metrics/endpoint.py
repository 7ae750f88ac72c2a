"""`/metrics` on a port of its own: a few lines of HTTP/1.1, in the event loop of the main process.

Workers could not serve it: each knows only its own values, and one that hangs does not respond.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import SecretStr

from sanicbase.errors import ConfigError, ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.metrics.collection import Collection

__all__ = ["MetricsAddress", "open_metrics"]

logger = logging.getLogger("sanicbase.metrics")

PATH = "/metrics"
MAX_HEAD = 8192  # bytes
MAX_CONNECTIONS = 16
TIMEOUT = 5.0  # seconds for a whole connection


@dataclass(frozen=True)
class MetricsAddress:
    """Where metrics are served: the address, the setting of its port, and the token that a request must have."""

    host: str
    port: int
    setting: str
    token: SecretStr | None = None


@asynccontextmanager
async def open_metrics(address: MetricsAddress | None) -> AsyncIterator[Collection]:
    """Collect metrics and serve them inside the block; without an address they are counted on demand only.

    Raises ResourceError when the address cannot be bound, and ConfigError without the extra `metrics`.
    """
    if address is None:
        with closing(Collection(always=False)) as collection:
            yield collection
        return
    _check_client()
    collection = Collection()
    endpoint = _Endpoint(collection, "" if address.token is None else address.token.get_secret_value())
    try:
        server = await _listen(endpoint, address)
        try:
            yield collection
        finally:
            server.close()
            await endpoint.close()
    finally:
        collection.close()


def _check_client() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ImportError as exc:
        command = "pip install 'sanicbase[metrics]'"
        raise ConfigError(_("Metrics need prometheus-client: {command}", command=command)) from exc


async def _listen(endpoint: _Endpoint, address: MetricsAddress) -> asyncio.Server:
    try:
        return await asyncio.start_server(endpoint.handle, address.host, address.port, limit=MAX_HEAD)
    except OSError as exc:
        raise ResourceError(
            _(
                "Cannot serve metrics on {host}:{port}: {reason}. Set {setting} to another port, or to 0 for no "
                "metrics.",
                host=address.host,
                port=address.port,
                reason=exc.strerror or exc,
                setting=address.setting,
            )
        ) from exc


class _Endpoint:
    def __init__(self, collection: Collection, token: str) -> None:
        self._collection = collection
        self._token = token.encode()
        self._connections: set[asyncio.Task[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Called by asyncio for each connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections.add(task)
        try:
            if len(self._connections) <= MAX_CONNECTIONS:
                async with asyncio.timeout(TIMEOUT):
                    await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client is slow, gone, or sends no head
        except asyncio.CancelledError:
            pass  # by `close`
        except Exception:
            logger.exception("The metrics could not be rendered.")
        finally:
            self._connections.discard(task)
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()
            writer.close()

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.rstrip("\r\n").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
        method, _, target = line.partition(" ")
        status, body, headers = self._response(method, target.partition(" ")[0].partition("?")[0], fields)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join((*lines, "", "")).encode() + (b"" if method == "HEAD" else body))
        await writer.drain()
        writer.write_eof()
        with suppress(ConnectionError):
            await reader.read(1)  # the client has read all, and closes

    def _response(self, method: str, path: str, fields: dict[str, str]) -> tuple[HTTPStatus, bytes, dict[str, str]]:
        if path != PATH:
            return HTTPStatus.NOT_FOUND, b"", {}
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b"", {"Allow": "GET, HEAD"}
        sent = fields.get("authorization", "").encode()
        if self._token and not hmac.compare_digest(sent, b"Bearer " + self._token):
            return HTTPStatus.UNAUTHORIZED, b"", {"WWW-Authenticate": 'Bearer realm="metrics"'}
        rendered = self._collection.render(fields.get("accept", ""))
        return HTTPStatus.OK, rendered.text, {"Content-Type": rendered.content_type, "Cache-Control": "no-store"}
