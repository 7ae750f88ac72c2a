"""What the main process of a service does before its workers start: it looks whether they could serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sanicbase.app.summary import summary
from sanicbase.config import Config
from sanicbase.lifespan import Resource, embedded_valkey, lifespan
from sanicbase.log import setup_logging
from sanicbase.process.descriptors import name_descriptor_limit
from sanicbase.server.listening import Listening

__all__ = ["MainProcess"]


class MainProcess:
    """Owned by the app. `start` raises SanicBaseError, with nothing left open; `stop` may be called at any time."""

    def __init__(self, config: Config, name: str, resources: Sequence[Resource]) -> None:
        self._config = config
        self._name = name
        self._resources = resources
        self._valkey = embedded_valkey(config) if config.uses_embedded_redis else None
        self._started = False

    async def start(self, listening: Listening, prefix: str) -> None:
        """Start the embedded Valkey, open and close everything that a worker opens, and print the summary, in which
        `prefix` is what the paths of the service begin with.

        Called again, it does nothing. When it fails or is cancelled nothing is left running.
        """
        try:
            if not self._started:
                await self._start(listening, prefix)
        except BaseException:
            self.stop()
            raise

    async def _start(self, listening: Listening, prefix: str) -> None:
        with name_descriptor_limit(workers=listening.workers):
            await self._open(listening, prefix)

    async def _open(self, listening: Listening, prefix: str) -> None:
        setup_logging(self._config, process="main")
        if self._valkey:
            await self._valkey.open()
        async with lifespan(self._config, *self._resources):
            pass
        self._started = True
        sys.stdout.write(summary(self._config, self._name, listening, prefix))
        sys.stdout.flush()

    def stop(self) -> None:
        """Stop the embedded Valkey; it blocks until that is gone."""
        if self._valkey:
            self._valkey.stop()
        self._started = False
