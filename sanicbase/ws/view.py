"""WSView: a WebSocket as a class, one instance for each connection."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from typing import Any, ClassVar

from sanic import Blueprint
from sanic.request import Request
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import CloseCode

from sanicbase.db.routing import forget_writes
from sanicbase.errors import SanicBaseError
from sanicbase.typing import App
from sanicbase.ws.connection import Connection

__all__ = ["WSView"]

logger = logging.getLogger("sanicbase.ws")

FINISH_TIMEOUT = 10.0  # seconds that a view has for each message of a client that is gone


class WSView:
    """A view of a WebSocket: what it does when a client comes, says something, goes.

        class EchoWS(WSView, public=True):
            async def on_message(self, message: str | bytes) -> None:
                await self.send(message)

        EchoWS.attach(blueprint, "/echo")

    Each connection has an instance of its own. A parameter of the path is an attribute of that name: annotate it in the
    class, `name: str` for `/room/<name>`. The three hooks run one after another, never at the same time.

    What a client sent before it closed is handled, for at most FINISH_TIMEOUT a message once the client is gone. An
    exception in `on_connect` or `on_message` is logged and closes the connection with 1011; invalid UTF-8 closes it
    with 1007, a message above WEBSOCKET_MAX_SIZE with 1009, a stop of the service with 1001.

    Nobody is let in unless the class overrides `admit`, or opens it to everybody by `public=True`.
    """

    request: Request
    """The request that became the WebSocket; what `admit` left in its `ctx` is there."""

    _public: ClassVar[bool] = False

    def __init_subclass__(cls, *, public: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        guarded = "admit" in vars(cls)
        if public and guarded:
            raise SanicBaseError(f"{cls.__name__} is public and has an admit: leave out one of the two.")
        if public is not None or guarded:
            cls._public = bool(public)

    @classmethod
    async def admit(cls, request: Request) -> object:
        """Override to say who may come in: raise Unauthorized or Forbidden, and the client is answered in HTTP."""
        return None

    async def on_connect(self) -> None:
        """Override to begin: messages wait until this returns."""

    async def on_message(self, message: str | bytes) -> None:
        """Override to handle a message, text or bytes as the client sent it."""

    async def on_disconnect(self, code: int) -> None:
        """Override to end: called last and exactly once, whatever happened before, with the code of the close.

        It is that of the side that closed first, 1005 when the client gave none, 1006 when the connection was lost.
        """

    async def send(self, message: str | bytes) -> None:
        """Send text or bytes, waiting while the client has too much to read; one that does not read for ten seconds is
        cut off. When the client is gone nothing is sent."""
        await self._connection.send(message)

    def send_nowait(self, message: str | bytes) -> None:
        """Send text or bytes without a wait, for those who send to many; a client is cut off when a mebibyte is waiting
        for it to read. When the client is gone nothing is sent."""
        self._connection.send_nowait(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection: no message is handled any more. A reason may have 123 bytes and is cut to them."""
        self._connection.start_closing(code, reason)
        self._connection.stop_receiving()

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more; for a view that sends on its own."""
        return not self._connection.open

    @classmethod
    def attach(cls, to: App | Blueprint, uri: str, **options: Any) -> None:
        """Serve the view at that path, under its rule; `options` are those of Sanic's `add_websocket_route`.

        Raises SanicBaseError for a view that nobody is let into, and for a parameter of the path that is named as
        something of the view's own.
        """
        if not cls._public and cls.admit.__func__ is WSView.admit.__func__:  # type: ignore[attr-defined]
            raise SanicBaseError(
                f"{cls.__name__} at {uri} lets nobody in: give it an `admit`, or open it to everybody by public=True."
            )
        for name in re.findall(r"<(\w+)", uri):
            if hasattr(WSView, name) or name in WSView.__annotations__:
                raise SanicBaseError(f"{cls.__name__} at {uri}: give <{name}> another name, a view has its own {name}.")

        # Not async: the connection is taken over before anything else can happen to it.
        def connect(request: Request, sanics: WebsocketImplProtocol, **path: Any) -> Coroutine[None, None, None]:
            return cls()._start(request, Connection.take_over(sanics), path)  # noqa: SLF001

        connect.__name__ = cls.__name__
        to.add_websocket_route(connect, uri, ctx_rules=() if cls._public else (cls.admit,), **options)
        to.before_server_stop(_say_goodbye)

    _connection: Connection
    _patience: asyncio.Timeout

    def _start(self, request: Request, connection: Connection, path: dict[str, Any]) -> Coroutine[None, None, None]:
        self.request = request
        self._connection = connection
        for name, value in path.items():
            setattr(self, name, value)
        life = asyncio.create_task(self._live())
        _lives[life] = self
        life.add_done_callback(_lives.pop)
        return self._last(life)

    async def _last(self, life: asyncio.Task[None]) -> None:
        """Return when its life has ended. Sanic cancels this when the connection is lost, which is no reason to drop
        what was received, and when the server stops."""
        while not life.done():
            try:
                await asyncio.wait({life})
            except asyncio.CancelledError:
                self._connection.start_closing(CloseCode.GOING_AWAY)

    async def _live(self) -> None:
        try:
            await self._handle()
        except asyncio.CancelledError:
            self._connection.abort()
            raise
        except Exception:
            if self._connection.over and self._patience.expired():
                logger.warning("%s did not finish within %g s.", self._name, FINISH_TIMEOUT)
            else:
                logger.exception("%s failed (request %s).", self._name, self.request.id)
            self._connection.fail(CloseCode.INTERNAL_ERROR)
        finally:
            await self._disconnect()

    async def _handle(self) -> None:
        async with asyncio.timeout(None) as self._patience:
            self._connection.call_when_over(self._hurry)
            try:
                self._hurry()
                await self.on_connect()
                while (message := await self._connection.receive()) is not None:
                    self._hurry()
                    forget_writes()
                    await self.on_message(message)
            finally:
                self._connection.call_when_over(None)

    def _hurry(self) -> None:
        """Whoever is gone gets some time for each message, not for ever."""
        if self._connection.over:
            self._patience.reschedule(asyncio.get_running_loop().time() + FINISH_TIMEOUT)

    async def _disconnect(self) -> None:
        try:
            await self.on_disconnect(self._connection.code)
        except Exception:
            logger.exception("%s.on_disconnect failed (request %s).", self._name, self.request.id)

    @property
    def _name(self) -> str:
        return type(self).__name__


_lives: dict[asyncio.Task[None], WSView] = {}


async def _say_goodbye(app: App) -> None:
    """Tell the clients of a server that stops, and wait for the views: what they use is closed right after."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + float(app.config.GRACEFUL_SHUTDOWN_TIMEOUT)
    while lives := {life: view for life, view in _lives.items() if view.request.app is app}:
        for view in lives.values():
            view._connection.start_closing(CloseCode.GOING_AWAY)  # noqa: SLF001
        done, _ = await asyncio.wait(lives, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        if not done:
            for life in lives:
                life.cancel()
            await asyncio.wait(lives, timeout=1.0)
            return
