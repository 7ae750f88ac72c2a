"""The limit of open files and connections of a process: an error message instead of a traceback when it is too low."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sanicbase.errors import ResourceError

if sys.platform != "win32":
    import resource

__all__ = ["check_descriptor_limit", "descriptor_limit", "required_descriptors"]

BASE = 64  # for the libraries, the logs, a connection to each store, and a few clients
PER_WORKER = 3  # in the main process: its channel, its sentinel, and its metrics
REMEDY = "Raise the limit: `ulimit -n 4096` in the shell, or LimitNOFILE=4096 in the systemd unit."


def descriptor_limit() -> int | None:
    """How many descriptors this process may have; None when there is no limit, or it is unknown."""
    if sys.platform == "win32":
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit


def required_descriptors(workers: int) -> int:
    """How many descriptors the main process of a service with so many workers needs; a worker needs fewer."""
    return BASE + PER_WORKER * workers


@contextmanager
def check_descriptor_limit(*, workers: int = 0) -> Iterator[None]:
    """Raise ResourceError when the limit of descriptors is too low, before the block or when the block exceeds it."""
    limit, needed = descriptor_limit(), required_descriptors(workers)
    if limit is not None and limit < needed:
        raise ResourceError(
            f"This process may have {limit} open files and connections, but needs at least {needed}. {REMEDY}"
        )
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.EMFILE:
            raise
        raise ResourceError(
            f"This process has reached its limit of {limit} open files and connections. {REMEDY}"
        ) from exc
