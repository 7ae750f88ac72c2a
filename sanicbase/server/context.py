"""The app of a service, and what `app.ctx` holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from sanic import Sanic
from sanic.config import Config as SanicConfig

from sanicbase.config import Config
from sanicbase.lifespan import Resource
from sanicbase.server.bind_address import BindAddress

__all__ = ["App", "ServiceContext"]


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
    draining: bool = False
    """Whether this process finishes its requests and accepts no others."""
    check: bool = True
    """Whether the resources must answer before the app serves, see supervisor.py."""
    handles_signals: bool = False
    """Whether `serve` handles signals, which it does from the start on."""


App = Sanic[SanicConfig, ServiceContext]
"""A Sanic app, as `create_app` returns it."""
