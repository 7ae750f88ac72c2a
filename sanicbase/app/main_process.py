"""What the main process of a service does before its workers start: it checks whether they can serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sanicbase.app.resource_check import check_in_fork
from sanicbase.app.summary import summary
from sanicbase.config import Config
from sanicbase.lifespan import Resource, embedded_valkey, lifespan
from sanicbase.log import setup_logging
from sanicbase.process.descriptors import check_descriptor_limit
from sanicbase.server.bind_address import BindAddress
from sanicbase.server.context import App

__all__ = ["MainProcess"]


class MainProcess:
    """Owned by the app. When `start` raises SanicBaseError nothing is left open; `stop` may be called at any time."""

    def __init__(self, config: Config, name: str, resources: Sequence[Resource]) -> None:
        self._config = config
        self._name = name
        self._resources = resources
        self._valkey = embedded_valkey(config) if config.uses_embedded_redis else None
        self._started = False

    async def start(self, app: App, address: BindAddress, prefix: str) -> None:
        """Start the embedded Valkey, open and close all resources of a worker, and print the summary.

        `prefix` is the common prefix of the service's paths. A second call does nothing. When it fails or is cancelled
        nothing is left running.
        """
        try:
            if not self._started:
                await self._start(app, address, prefix)
        except BaseException:
            self.stop()
            raise

    async def check_resources(self) -> None:
        """Open and close all resources of a worker."""
        setup_logging(self._config, process="main")
        async with lifespan(self._config, *self._resources):
            pass

    async def _start(self, app: App, address: BindAddress, prefix: str) -> None:
        with check_descriptor_limit(workers=address.workers):
            await self._open(app, address, prefix)

    async def _open(self, app: App, address: BindAddress, prefix: str) -> None:
        setup_logging(self._config, process="main")
        if self._valkey:
            await self._valkey.open()
        if app.ctx.launcher is not None and app.ctx.launcher.can_fork:
            await check_in_fork(app.ctx.launcher, app.name)
        else:
            await self.check_resources()
        self._started = True
        sys.stdout.write(summary(self._config, self._name, address, prefix))
        sys.stdout.flush()

    def stop(self) -> None:
        """Stop the embedded Valkey; blocks until it has ended."""
        if self._valkey:
            self._valkey.stop()
        self._started = False
