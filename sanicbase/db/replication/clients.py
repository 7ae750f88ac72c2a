"""The clients of a primary that has replicas, and of a replica: Tortoise's engines with one more thing to keep in mind.

A role is mixed into the class of whatever engine the connection has, when its client is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from tortoise.backends.base.client import TransactionContext

from sanicbase.db.engine.statements import EngineClient
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable, DeadlockError, SerializationError
from sanicbase.db.routing import is_select, pin_to_primary

__all__ = ["Primary", "Replica", "client_with_role", "probe_client"]

# A standby ends selects that are in the way of what it replays, as if for another transaction's sake.
RETRIED_ON_PRIMARY = (DatabaseUnavailable, SerializationError, DeadlockError)


class ReplicaSelector(Protocol):
    """Who chooses among the replicas of a primary."""

    def choose(self) -> str | None:
        """The name of a replica's connection; None when none serves."""


class Primary(EngineClient):
    """A client that has replicas. It notes every write, whoever has sent it."""

    replicas: ReplicaSelector

    async def execute_query(self, query: str, values: list[Any] | None = None) -> Any:
        self._note(query)
        return await super().execute_query(query, values)

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> Any:
        self._note(query)
        return await super().execute_query_dict(query, values)

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        pin_to_primary(self.connection_name)
        return await super().execute_insert(query, values)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        pin_to_primary(self.connection_name)
        await super().execute_many(query, values)

    async def execute_script(self, query: str) -> None:
        pin_to_primary(self.connection_name)
        await super().execute_script(query)

    def _in_transaction(self) -> TransactionContext:
        pin_to_primary(self.connection_name)  # whatever becomes of it
        return super()._in_transaction()

    def _note(self, query: str) -> None:
        if not is_select(query):
            pin_to_primary(self.connection_name)


class Replica(EngineClient):
    """A client of a replica. What it cannot do, its primary does: what is no select, and a select that fails on it."""

    primary: Primary
    probe: EngineClient
    fault: str | None = "it was not asked yet"
    _suspected = False

    @property
    def is_available(self) -> bool:
        """Whether it can be read from, as far as it is known."""
        return self.fault is None and not self.outage.is_down

    def record(self, fault: str | None) -> None:
        """Note what a check has found while the primary answered.

        One that serves is left out when it is found so twice in a row: a primary that is just going lets go of its
        replicas first, and without a primary they serve on.
        """
        if fault is None or self.fault is not None or self._suspected:
            self.fault = fault
        self._suspected = fault is not None

    def record_unknown(self) -> None:
        """Note that the primary did not answer: nobody can lag behind it, and what was last known holds."""
        self._suspected = False

    async def execute_query(self, query: str, values: list[Any] | None = None) -> Any:
        if is_select(query):
            with self._fall_back_to_primary():
                return await super().execute_query(query, values)
        return await self.primary.execute_query(query, values)

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> Any:
        if is_select(query):
            with self._fall_back_to_primary():
                return await super().execute_query_dict(query, values)
        return await self.primary.execute_query_dict(query, values)

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        return await self.primary.execute_insert(query, values)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        await self.primary.execute_many(query, values)

    async def execute_script(self, query: str) -> None:
        await self.primary.execute_script(query)

    def _in_transaction(self) -> TransactionContext:
        return self.primary._in_transaction()

    @contextmanager
    def _fall_back_to_primary(self) -> Iterator[None]:
        """Pass over the errors of a select that the primary can answer."""
        try:
            yield
        except RETRIED_ON_PRIMARY:
            return
        except DatabaseTimeout:
            if not self.outage.is_down:  # the server itself has ended a select that is too slow anywhere
                raise


def client_with_role(role: type[Any], kind: type[Any], credentials: Mapping[str, Any], name: str) -> Any:
    """A client of the connection `name`, of an engine's class `kind`, that plays a role: Primary or Replica."""
    return type(role.__name__, (role, kind), {"__module__": __name__})(**credentials, connection_name=name)


def probe_client(kind: type[Any], credentials: Mapping[str, Any], client: EngineClient) -> EngineClient:
    """A connection for the checks alone, for a pool that is busy is no reason to burden the primary as well."""
    single = {name: value for name, value in credentials.items() if name not in ("maxsize", "minsize")}
    if "maxsize" in credentials:
        single |= {"minsize": 1, "maxsize": 1}
    probe: EngineClient = kind(**single, connection_name=client.connection_name)
    probe.outage = client.outage  # one server, one line in the log
    return probe
