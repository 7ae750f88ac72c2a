"""The app of a service, and what `app.ctx` holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sanic import Sanic
from sanic.config import Config as SanicConfig
from sanic.request import Request

from sanicbase.alerts import AlertHook
from sanicbase.config import Config
from sanicbase.edge.forwarded import TrustedProxies
from sanicbase.edge.load import LoadLimiter
from sanicbase.edge.response import DefaultHeaders, ResponseHook
from sanicbase.lifespan import Resource
from sanicbase.metrics.endpoint import MetricsAddress
from sanicbase.server.bind_address import BindAddress
from sanicbase.server.launcher import Launcher

__all__ = ["ERROR_FORMAT", "App", "ServiceContext"]

ERROR_FORMAT = "json"
"""The format of errors of our routes. Nothing uses it, but without one Sanic parses the source of each handler."""


@dataclass(eq=False, repr=False)
class ServiceContext(SimpleNamespace):
    """The `app.ctx` of a service. A service may add attributes of its own, which are not typed."""

    config: Config
    """The settings of the service."""
    bind_address: BindAddress
    """The address that the app binds."""
    stop_main_process: Callable[[], None]
    """Stops what the main process has started, such as the embedded Valkey. It may be called at any time."""
    resources: Sequence[Resource] = ()
    """The open resources of this process, in the order in which they were opened."""
    response_hooks: list[ResponseHook] = field(default_factory=list)
    """Called with every response before its head is sent. A process that serves reads the list for each connection."""
    demanded_hook: ResponseHook | None = None
    """One more of them while requests are counted on demand."""
    default_headers: DefaultHeaders | None = None
    """Headers of every response that does not have them already."""
    trusted_proxies: TrustedProxies | None = None
    """The proxies whose forwarded headers are trusted; None without any."""
    check_socket_origin: Callable[[Request[Any, Any]], None] | None = None
    """Refuses pages of other origins that open a WebSocket."""
    allows_origin: Callable[[Request[Any, Any]], bool] | None = None
    """Whether the page that sends a request may use the cookies of this service to change something."""
    load_limiter: LoadLimiter | None = None
    """Bounds the requests that a process handles at once, where MAX_CONCURRENT_REQUESTS is set."""
    metrics_address: MetricsAddress | None = None
    """Where the main process serves the metrics of this app; None where they are counted on demand only."""
    alert_hook: AlertHook | None = None
    """Sends the alerts of this app, in its main process."""
    requests_served: int = 0
    """How many requests this process has served, where WORKER_MAX_REQUESTS is set."""
    draining: bool = False
    """Whether this process is draining: it finishes its requests and accepts no new ones."""
    check: bool = True
    """Whether the resources must answer before the app serves, see supervisor.py."""
    handles_signals: bool = False
    """Whether `serve` handles signals, which it does from the start on."""
    check_resources: Callable[[], Awaitable[None]] | None = None
    """Opens and closes all resources, as the main process does before its workers start."""
    launcher: Launcher | None = None
    """Starts the processes of `serve`, in the main process only."""


App = Sanic[SanicConfig, ServiceContext]
"""A Sanic app, as `create_app` returns it."""
