"""The app of a service: the path of a request through Sanic, with what sanicbase does on it.

Sanic takes about 25 µs to find the handlers of a signal and to call one. So this class calls sanicbase's own directly.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable
from typing import Any

from sanic import Sanic
from sanic.config import Config as SanicConfig
from sanic.http import Stage
from sanic.signals import Signal

from sanicbase.http.access_log import log_answered
from sanicbase.http.guards import check_headers, has_guards, run_guards
from sanicbase.http.request import AnyRequest
from sanicbase.http.routes import name_allowed_methods
from sanicbase.http.streams import StreamBroken, break_stream, cut_cancelled_stream, stage_of
from sanicbase.server.context import ServiceContext

__all__ = ["ServiceApp"]

ROUTED = "http.routing.after"  # sent when the route is known and the body was not read
ROUTING = "http.routing."


class ServiceApp(Sanic[SanicConfig, ServiceContext]):
    """A Sanic app with guards, an access line for each request, and streams that break when their handler fails."""

    __slots__ = ("_guards", "_has_guards", "_logs_access")

    def __init__(self, name: str, *, logs_access: bool, **options: Any) -> None:
        """Create the app. `logs_access` says whether each answered request has a line in `access.log`; `options` are
        those of Sanic."""
        super().__init__(name, **options)
        self._logs_access = logs_access
        self._has_guards = False
        self._guards: Signal | None = None  # where nothing else handles the signals of routing

    async def handle_request(self, request: AnyRequest) -> None:
        """Called by Sanic for every request that could be read."""
        check_headers(request)
        try:
            await super().handle_request(request)
        except CancelledError as exc:
            if stage_of(request) is Stage.HANDLER:  # Sanic calls handle_exception next
                raise
            if not isinstance(exc, StreamBroken):
                cut_cancelled_stream(request, exc)
            self._log(request)
            raise
        self._log(request)

    async def handle_exception(
        self, request: AnyRequest, exception: BaseException, run_middleware: bool = True
    ) -> None:
        """Called by Sanic for every error, also of a request that could not be read."""
        try:
            if stage_of(request) in (None, Stage.HANDLER):
                name_allowed_methods(self, request, exception)
                await super().handle_exception(request, exception, run_middleware)
            else:
                await self._notify(request, exception)
                break_stream(request, exception)
        finally:
            self._log(request)

    def signalize(self, allow_fail_builtin: bool = True) -> None:
        """Called by Sanic when all routes and handlers are registered."""
        if not self._has_guards and has_guards(self):
            self._has_guards = True
            self.signal(ROUTED)(run_guards)
        super().signalize(allow_fail_builtin)
        handled = [signal for signal in self.signal_router.routes if signal.ctx.definition.startswith(ROUTING)]
        self._guards = handled[0] if self._has_guards and len(handled) == 1 else None

    def dispatch(self, event: Any, **options: Any) -> Awaitable[Any]:  # type: ignore[override]  # it has two kinds
        """Called by Sanic for every signal that somebody handles. Where only the guards do, they are called at once."""
        if event == ROUTED and self._guards is not None and not self._guards.ctx.waiters:
            return run_guards(**options["context"])
        return super().dispatch(event, **options)

    async def _notify(self, request: AnyRequest, exception: BaseException) -> None:
        """Send the signals of an error, as Sanic does for one that it answers."""
        if not getattr(exception, "__dispatched__", False):
            await self.dispatch("server.exception.report", context={"exception": exception})
        context = {"request": request, "exception": exception}
        await self.dispatch("http.lifecycle.exception", context=context, inline=True, fail_not_found=False)

    def _log(self, request: AnyRequest) -> None:
        if self._logs_access:
            log_answered(request)
