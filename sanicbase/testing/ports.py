"""Free TCP ports, so that no test needs a fixed one."""

from __future__ import annotations

import os
import secrets
import socket

__all__ = ["free_port"]

# Below the range Linux gives to outgoing connections (32768 and up), so that nobody else is handed one
# meanwhile.
_FIRST, _LAST = 20_000, 32_000
_PORTS_OF_A_WORKER = 1500

_used: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 nobody listens on, never the same one twice from one process.

    It is free when it is looked at, and whoever binds it next may be somebody else. Each pytest-xdist worker
    therefore takes from a range of its own; only a second test run at the same time can still be in the way.
    `OSError` when the whole range is taken.
    """
    first = _first_port()
    # Not `random`: pytest-randomly seeds it alike in every test, and the start would always be the same.
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
