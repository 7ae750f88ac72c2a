"""`app.m` in a worker: its requests to the main process."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any, NoReturn

from sanic.worker.multiplexer import WorkerMultiplexer

from sanicbase.i18n import gettext as _
from sanicbase.server.channel import RESTART, TERMINATE, send

__all__ = ["Multiplexer"]


class Multiplexer(WorkerMultiplexer):
    """Sanic's multiplexer, on the channel to our supervisor.

    `name`, `pid`, `restart` and `terminate` work as under Sanic's manager; a restart always starts the new worker
    first. The rest raises NotImplementedError with the alternative.
    """

    def __init__(self, channel: Connection[bytes, bytes]) -> None:
        self._channel = channel

    def ack(self) -> None:
        """Does nothing: the worker reports to the supervisor when it serves."""

    def set_serving(self, serving: bool) -> None:
        """Does nothing, see `ack`."""

    def exit(self) -> None:
        """Does nothing: no state is shared."""

    def restart(self, name: str = "", all_workers: bool = False, zero_downtime: bool = False) -> None:
        """Replace this worker, the named one, or all workers. The new one is ready before the old one stops."""
        if name and all_workers:
            raise ValueError("Ambiguous restart with both a named process and all_workers=True")
        send(self._channel, RESTART + ("" if all_workers else name or self.name).encode())

    reload = restart

    def terminate(self, early: bool = False) -> None:
        """Stop the service: all workers drain."""
        send(self._channel, TERMINATE)

    def scale(self, num_workers: int) -> NoReturn:
        raise NotImplementedError(
            _(
                "app.m.scale does not exist under serve(): the number of workers is fixed at startup. Set "
                "WORKERS and restart the service."
            )
        )

    def manage(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            _("app.m.manage does not exist under serve(). Call app.manager.manage in a main_process_ready listener.")
        )

    @property
    def state(self) -> NoReturn:
        raise _no_shared_state()

    @property
    def workers(self) -> NoReturn:
        raise _no_shared_state()


def _no_shared_state() -> NotImplementedError:
    return NotImplementedError(
        _(
            "app.m.state and app.m.workers do not exist under serve(), whose workers share no state. Share values "
            "through app.shared_ctx or Redis."
        )
    )
