"""WSView: a WebSocket as a class, one instance for each connection."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, Protocol, get_type_hints

from sanic import Blueprint
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import CloseCode

from sanicbase.db.routing import start_scope
from sanicbase.errors import SanicBaseError
from sanicbase.http.guards import BEARER_SUBPROTOCOL, GuardedView, is_optional, offered_subprotocols, user_checks
from sanicbase.http.request import Request
from sanicbase.metrics import Counter, Gauge
from sanicbase.metrics.instruments import is_counting
from sanicbase.server.context import ERROR_FORMAT, App
from sanicbase.ws.connection import Connection
from sanicbase.ws.spans import SocketTrace

__all__ = ["Member", "WSView", "send_to_all"]

logger = logging.getLogger("sanicbase.ws")

CLIENTS = Gauge("sanicbase_websocket_clients", "Open WebSockets by their view.", ["view"])
RECEIVED = Counter("sanicbase_websocket_received_total", "Messages of clients that views have handled.", ["view"])
FINISH_TIMEOUT = 10.0  # seconds that a view has for each message after its client has gone


class Member(Protocol):
    """A recipient of messages, such as a WSView."""

    def send_nowait(self, message: str | bytes) -> None: ...


class BearerIfOffered:
    """The subprotocols of a view that is not public: `bearer` for a client that offers it, or else none.

    A browser closes a connection without an answer to what it has offered. With a list of subprotocols, the websockets
    package refuses a client that offers none.
    """

    def __iter__(self) -> Iterator[str]:
        if BEARER_SUBPROTOCOL in offered_subprotocols(Request.get_current()):
            yield BEARER_SUBPROTOCOL


class WSView(GuardedView):
    """A WebSocket. Its hooks are called when the client connects, sends a message, and disconnects.

        class EchoWS(WSView, public=True):
            async def on_message(self, message: str | bytes) -> None:
                await self.send(message)

        EchoWS.attach(blueprint, "/echo")

    Each connection has its own instance. A parameter of the path is an attribute of that name: annotate it in the
    class, `name: str` for `/room/<name>`. So is the user that `admit` returns: with `user: User`, clients must be
    authenticated, and others get a 401; `user: User | None` accepts both. The three hooks run one after another, never
    concurrently.

    Messages that a client sent before it closed the connection are handled. After that, each may take FINISH_TIMEOUT.
    An exception in `on_connect` or `on_message` is logged and closes the connection with 1011; invalid UTF-8 closes it
    with 1007, a message above WEBSOCKET_MAX_SIZE with 1009, a stop of the service with 1001.

    Nobody is admitted unless the class overrides `admit` or is public: `class EchoWS(WSView, public=True)`. A page of
    another origin gets a 403, unless CORS_ORIGINS or the view's `cors` lists the origin.
    """

    request: Request
    """The request that became the WebSocket."""

    async def on_connect(self) -> None:
        """Override to prepare the connection: messages wait until this returns."""

    async def on_message(self, message: str | bytes) -> None:
        """Override to handle a message, text or bytes as the client sent it."""

    async def on_disconnect(self, code: int) -> None:
        """Override to clean up: always called last, exactly once, with the close code.

        It is the code of the side that closed first, 1005 when the client gave none, 1006 when the connection was lost.
        """

    async def send(self, message: str | bytes) -> None:
        """Send text or bytes, and wait while the client has too much to read; the connection of a client that reads
        nothing for ten seconds is aborted. Does nothing after the client has disconnected."""
        await self._connection.send(message)

    def send_nowait(self, message: str | bytes) -> None:
        """Send text or bytes without waiting, for views that send to many clients; the connection is aborted when a
        client leaves 1 MiB unread. Does nothing after the client has disconnected."""
        self._connection.send_nowait(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection: no further message is handled. The reason is cut to 123 bytes."""
        self._connection.start_closing(code, reason)
        self._connection.stop_receiving()

    def close_at(self, moment: float, code: int = 1008, reason: str = "") -> None:
        """Close the connection at that time, in seconds since 1970, such as `AccessToken.expires_at`. A later call
        replaces it."""
        if self._closing is not None:
            self._closing.cancel()

        def close() -> None:
            self._connection.start_closing(code, reason)
            self._connection.stop_receiving()

        self._closing = asyncio.get_running_loop().call_later(max(0.0, moment - time.time()), close)

    @property
    def closed(self) -> bool:
        """Whether the connection is closed; check it in a loop that only sends."""
        return not self._connection.open

    @classmethod
    def attach(cls, to: App | Blueprint, uri: str, **options: Any) -> None:
        """Serve the view at that path, behind its guard; `options` are those of Sanic's `add_websocket_route`. A view
        that is not public accepts the subprotocol `bearer`, unless `subprotocols` names others.

        Raises SanicBaseError for a view that admits nobody, and for a parameter of the path with the name of an
        attribute of WSView.
        """
        path_parameters = re.findall(r"<(\w+)", uri)
        for name in path_parameters:
            if hasattr(WSView, name) or name in WSView.__annotations__:
                raise SanicBaseError(f"{cls.__name__} at {uri}: give <{name}> another name, a view has its own {name}.")
        annotation = None if cls._public or "user" in path_parameters else cls._user_annotation()
        guards = cls._admission().guards(
            f"{cls.__name__} at {uri}",
            takes_user=cls.__name__ if annotation is not None else "",
            methods_for_users=() if annotation is None or is_optional(annotation) else ("GET",),
            checks={"GET": user_checks(cls)},
        )

        # Not async: the connection must be taken over before anything else happens to it.
        def connect(request: Request, websocket: WebsocketImplProtocol, **path: Any) -> Coroutine[None, None, None]:
            attributes = path if annotation is None else {**path, "user": request.ctx.user}
            return cls()._start(request, Connection.take_over(websocket), attributes)  # noqa: SLF001

        connect.__name__, connect.__doc__ = cls.__name__, cls.__doc__
        if not cls._public:
            options = {"subprotocols": BearerIfOffered(), **options}
        options = {"error_format": ERROR_FORMAT, "ctx_cors": cls._cors, "ctx_unlimited": cls._limits == (), **options}
        to.add_websocket_route(connect, uri, ctx_guards=guards, **options)
        to.before_server_stop(_close_connections)

    @classmethod
    def _user_annotation(cls) -> object:
        """The annotation of the attribute `user`; None for a class without one."""
        if not any("user" in vars(base).get("__annotations__", {}) for base in cls.__mro__):
            return None
        try:
            return get_type_hints(cls)["user"]
        except (NameError, TypeError) as exc:
            raise SanicBaseError(
                f"{cls.__name__}: an annotation cannot be resolved: {exc}. Define or import it in the view's module."
            ) from exc

    _connection: Connection
    _trace: SocketTrace | None
    _timeout: asyncio.Timeout
    _closing: asyncio.TimerHandle | None = None  # of close_at

    def _start(
        self, request: Request, connection: Connection, attributes: dict[str, Any]
    ) -> Coroutine[None, None, None]:
        self.request = request
        self._connection = connection
        self._trace = SocketTrace.of(request)
        for name, value in attributes.items():
            setattr(self, name, value)
        task = asyncio.create_task(self._run())
        _views[task] = self
        task.add_done_callback(_views.pop)
        if is_counting():
            CLIENTS.inc(self._name)
            task.add_done_callback(lambda _: CLIENTS.inc(self._name, amount=-1))
        return self._wait_for(task)

    async def _wait_for(self, task: asyncio.Task[None]) -> None:
        """Return when the view's task has ended. Sanic cancels this when the connection is lost, and when the server
        stops; messages that were received are still handled."""
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                self._connection.start_closing(CloseCode.GOING_AWAY)

    async def _run(self) -> None:
        try:
            await self._handle()
        except asyncio.CancelledError:
            self._connection.abort()
            raise
        except Exception:
            if self._connection.over and self._timeout.expired():
                logger.warning("%s did not finish within %g s.", self._name, FINISH_TIMEOUT)
            else:
                logger.exception("%s failed (request %s).", self._name, self.request.id)
            self._connection.fail(CloseCode.INTERNAL_ERROR)
        finally:
            if self._closing is not None:
                self._closing.cancel()
            await self._disconnect()

    async def _handle(self) -> None:
        async with asyncio.timeout(None) as self._timeout:
            self._connection.call_when_over(self._limit_time)
            try:
                self._limit_time()
                trace = self._trace
                handle = self.on_message if trace is None else partial(trace.handle, self.on_message)
                await (self.on_connect() if trace is None else trace.connect(self.on_connect))
                while (message := await self._connection.receive()) is not None:
                    self._limit_time()
                    RECEIVED.inc(self._name)
                    start_scope()
                    await handle(message)
            finally:
                self._connection.call_when_over(None)

    def _limit_time(self) -> None:
        """After the client has disconnected, each message may take FINISH_TIMEOUT."""
        if self._connection.over:
            self._timeout.reschedule(asyncio.get_running_loop().time() + FINISH_TIMEOUT)

    async def _disconnect(self) -> None:
        try:
            await self.on_disconnect(self._connection.code)
        except Exception:
            logger.exception("%s.on_disconnect failed (request %s).", self._name, self.request.id)

    @property
    def _name(self) -> str:
        return type(self).__name__


def send_to_all(members: Iterable[Member], message: str | bytes) -> None:
    """Send a message to many members, which is encoded once for all views that do not override `send_nowait`."""
    connections = []
    for member in members:
        if isinstance(member, WSView) and type(member).send_nowait is WSView.send_nowait:
            connections.append(member._connection)  # noqa: SLF001
        else:
            member.send_nowait(message)
    Connection.send_to_all(connections, message)


_views: dict[asyncio.Task[None], WSView] = {}


async def _close_connections(app: App) -> None:
    """Close the connections of a server that stops, and wait for the views, because their resources are closed
    afterwards."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + float(app.config.GRACEFUL_SHUTDOWN_TIMEOUT)
    while views := {task: view for task, view in _views.items() if view.request.app is app}:
        for view in views.values():
            view._connection.start_closing(CloseCode.GOING_AWAY)  # noqa: SLF001
        done, _ = await asyncio.wait(views, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        if not done:
            for task in views:
                task.cancel()
            await asyncio.wait(views, timeout=1.0)
            return
