"""The open files and connections that a process may have: enough of them, or a sentence in place of a traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sanicbase.errors import ResourceError

if sys.platform != "win32":
    import resource

__all__ = ["descriptor_limit", "name_descriptor_limit", "needed_descriptors"]

LEAST = 64  # for the libraries, the logs, a connection to each store, and a few clients
FOR_A_WORKER = 2  # in the main process: its channel and its end
REMEDY = "Raise the limit: `ulimit -n 4096` in the shell, or LimitNOFILE=4096 in the unit of systemd."


def descriptor_limit() -> int | None:
    """How many descriptors this process may have; None where nothing limits them, or nothing tells."""
    if sys.platform == "win32":
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit


def needed_descriptors(workers: int) -> int:
    """How many the main process of a service, with so many workers, must be allowed; a worker needs no more."""
    return LEAST + FOR_A_WORKER * workers


@contextmanager
def name_descriptor_limit(*, workers: int = 0) -> Iterator[None]:
    """Run a process's work. Raises ResourceError when it may have too few descriptors, before or while it has them."""
    limit, needed = descriptor_limit(), needed_descriptors(workers)
    if limit is not None and limit < needed:
        raise ResourceError(
            f"This process may have {limit} open files and connections, and needs {needed} at least. {REMEDY}"
        )
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.EMFILE:
            raise
        raise ResourceError(
            f"This process has all of the {limit} open files and connections that it may. {REMEDY}"
        ) from exc
