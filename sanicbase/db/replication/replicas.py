"""A primary and its replicas: plain selects of a DBModel may go to a replica, all other statements to the primary.

A replica is used while it answers and is not too far behind. Its connection is one of Tortoise's, but not in the
configuration: `in_transaction()` still sees a single database, and no tables are created on a replica.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from tortoise.connection import ConnectionHandler, get_connection
from tortoise.models import Model
from tortoise.router import router

from sanicbase.db.engine.outage import reason
from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.db.model import DBModel
from sanicbase.db.replication.clients import Primary, Replica, client_with_role, probe_client
from sanicbase.db.replication.lag import lag_of
from sanicbase.db.routing import may_use_replica
from sanicbase.errors import ResourceError
from sanicbase.metrics import Gauge

__all__ = ["Replicas", "Router"]

logger = logging.getLogger("sanicbase.db")

READERS = Gauge("sanicbase_db_replica_readers", "The processes that read from a replica.", ["replica"])
CHECK_INTERVAL = 1.0  # seconds
CHECK_TIMEOUT = 2.0  # seconds
CATCH_UP_TIMEOUT, CATCH_UP_PAUSE = (
    1.0,
    0.1,
)  # seconds, at the start: no earlier WAL position is known yet


class Router:
    """Tortoise's router, for queries without an explicit connection."""

    def db_for_read(self, model: type[Model]) -> str | None:
        """The connection of a plain select; inside a transaction its name means the transaction."""
        name = model._meta.default_connection
        # Tortoise's querysets write where they have read, so plain Tortoise models use the primary.
        if name is None or not issubclass(model, DBModel) or not may_use_replica(name):
            return name
        client = get_connection(name)
        return client.replicas.choose() or name if isinstance(client, Primary) else name

    def db_for_write(self, model: type[Model]) -> str | None:
        """The connection of other statements."""
        return model._meta.default_connection


class Replicas:
    """The replicas of one connection, checked every second while they are open.

    Created before the first use of the primary, whose client is replaced. `replicas` are Tortoise's connection settings
    by the names of the replicas; `max_lag` is in seconds. They are optional: opening does not fail without one, and
    `ping` raises ResourceError while one is unavailable, which makes the service degraded. Without `connect`, opening
    does not wait for the first check; selects go to the primary until it is complete.
    """

    critical = False

    def __init__(
        self,
        connections: ConnectionHandler,
        primary: str,
        replicas: Mapping[str, dict[str, Any]],
        *,
        max_lag: float,
        timeout: float,
        connect: bool = True,
    ) -> None:
        self.name = f"replicas of {primary}"
        self._connections = connections
        self._timeout = min(timeout, CHECK_TIMEOUT)
        self._connect = connect
        self._every = min(CHECK_INTERVAL, max_lag / 4)
        plain: Any = connections.get(primary)
        kind, credentials = type(plain), connections.db_config[primary]["credentials"]
        self._primary = client_with_role(Primary, kind, credentials, primary)
        self._primary.replicas = self
        self._probe = probe_client(kind, credentials, self._primary)
        self._replicas = [self._replica(kind, info["credentials"], name) for name, info in replicas.items()]
        self._lag = lag_of(plain.capabilities.dialect, max_lag)
        self._logged_faults: dict[str, str | None] = dict.fromkeys(replicas)
        self._task: asyncio.Task[None] | None = None
        # Beside what Tortoise has configured: `set` would do so for the current task only.
        for client in (self._primary, *self._replicas):
            connections._storage[client.connection_name] = client

    async def __aenter__(self) -> Self:
        router.init_routers([Router])  # again, for aerich has Tortoise forget it when it makes an embedded database
        if self._connect:
            try:
                await self._check_first()
            except BaseException:
                await self._close()
                raise
        self._task = asyncio.create_task(self._check_periodically(), name=self.name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._close()

    def choose(self) -> str | None:
        """The name of a random available replica; None when there is none."""
        serving = [replica.connection_name for replica in self._replicas if replica.is_available]
        return random.choice(serving) if serving else None  # noqa: S311  (no secret)

    async def ping(self) -> None:
        """Raises ResourceError, which names the unavailable replicas by the last check."""
        if unavailable := [replica for replica in self._replicas if not replica.is_available]:
            reasons = (
                f"{replica.outage.name}: {'no answer' if replica.outage.is_down else replica.fault}"
                for replica in unavailable
            )
            raise ResourceError("; ".join(reasons))

    async def check(self) -> None:
        """Check every server once."""
        primary_answers = True
        try:
            await self._lag.check_primary(partial(self._ask, self._probe))
        except Exception as exc:  # it says nothing about the replicas
            primary_answers = False
            if not self._primary.outage.is_down and not _is_refusal(exc):
                self._primary.outage.failed(exc)
        await asyncio.gather(
            *(self._check_replica(replica, primary_answers=primary_answers) for replica in self._replicas)
        )

    async def _check_replica(self, replica: Replica, *, primary_answers: bool) -> None:
        try:
            fault = await self._lag.fault(replica.connection_name, partial(self._ask, replica.probe))
        except Exception as exc:  # drivers raise their own exceptions, some untranslated
            if _is_refusal(exc):  # recorded already
                replica.record(reason(exc))
            elif not replica.outage.is_down:
                replica.outage.failed(exc)
            return
        if replica.outage.is_down:  # recorded by a reader during the check
            return
        if primary_answers:
            replica.record(fault)
        else:
            replica.record_unknown()

    async def _check_first(self) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + CATCH_UP_TIMEOUT
        await self.check()
        while clock() < deadline and any(replica.fault == self._lag.too_far_behind for replica in self._replicas):
            await asyncio.sleep(CATCH_UP_PAUSE)
            await self.check()
        self._note_changes()

    async def _check_periodically(self) -> None:
        if not self._connect:
            await self._check_first()
        while True:
            await asyncio.sleep(self._every)
            await self.check()
            self._note_changes()

    def _note_changes(self) -> None:
        """Log changes, besides those that outages log, and set the gauge of the readers."""
        for replica in self._replicas:
            name, fault = replica.connection_name, replica.fault
            READERS.set(replica.is_available, name)
            if replica.outage.is_down or fault == self._logged_faults[name]:
                continue
            if fault is None:
                logger.warning("The database %s is used for reads again.", replica.outage.name)
            else:
                logger.warning("The database %s is not used for reads: %s.", replica.outage.name, fault)
            self._logged_faults[name] = fault

    async def _ask(self, client: EngineClient, statement: str) -> list[dict[str, Any]]:
        async with asyncio.timeout(self._timeout):
            rows: list[dict[str, Any]] = list(map(dict, await client.execute_query_dict(statement)))
            return rows

    def _replica(self, kind: type[Any], credentials: Mapping[str, Any], name: str) -> Replica:
        replica: Replica = client_with_role(Replica, kind, credentials, name)
        replica.primary = self._primary
        replica.probe = probe_client(kind, credentials, replica)
        return replica

    async def _close(self) -> None:
        for replica in self._replicas:
            self._connections._storage.pop(replica.connection_name, None)
        probes = (self._probe, *(replica.probe for replica in self._replicas))
        await asyncio.gather(*(client.close() for client in (*probes, *self._replicas)))


def _is_refusal(error: BaseException) -> bool:
    """Whether a server has refused the statement."""
    return isinstance(error, DatabaseUnavailable) and error.state != "away"
