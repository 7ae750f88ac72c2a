"""Free TCP ports, so that no test needs a fixed one."""

from __future__ import annotations

import os
import secrets
import socket

__all__ = ["free_port"]

# Below the range of Linux for outgoing connections (32768 and up), so that no connection gets one in the meantime.
_FIRST, _LAST = 20_000, 32_000
_PORTS_OF_A_WORKER = 1500

_used: set[int] = set()


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1, never the same one twice in one process.

    It is free when it is checked, but another process may bind it first. Each pytest-xdist worker therefore has a
    separate range; only a second test run at the same time can still collide. Raises OSError when the whole range is in
    use.
    """
    first = _first_port()
    # Not `random`: pytest-randomly seeds it equally in every test, so the first port would always be the same.
    start = secrets.randbelow(_PORTS_OF_A_WORKER)
    for step in range(_PORTS_OF_A_WORKER):
        port = first + (start + step) % _PORTS_OF_A_WORKER
        if port not in _used and _is_free(port):
            _used.add(port)
            return port
    raise OSError(
        f"All ports from {first} to {first + _PORTS_OF_A_WORKER - 1} are in use. Stop the processes that listen there."
    )


def _first_port() -> int:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    ranges = (_LAST - _FIRST) // _PORTS_OF_A_WORKER
    return _FIRST + int(worker) % ranges * _PORTS_OF_A_WORKER


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
