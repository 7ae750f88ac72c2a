"""The clients of a primary with replicas, and of a replica.

A role is mixed into the engine's client class when the client is created.
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

# A standby cancels selects that conflict with recovery, as a serialization failure.
RETRIED_ON_PRIMARY = (DatabaseUnavailable, SerializationError, DeadlockError)


class ReplicaSelector(Protocol):
    """Selects a replica of a primary."""

    def choose(self) -> str | None:
        """The name of a replica's connection; None when none is available."""


class Primary(EngineClient):
    """The client of a primary with replicas. Every write pins its caller to the primary."""

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
        pin_to_primary(self.connection_name)  # also when it is rolled back
        return super()._in_transaction()

    def _note(self, query: str) -> None:
        if not is_select(query):
            pin_to_primary(self.connection_name)


class Replica(EngineClient):
    """The client of a replica. The primary executes other statements than selects, and selects that fail here."""

    primary: Primary
    probe: EngineClient
    fault: str | None = "it was not checked yet"
    _suspected = False

    @property
    def is_available(self) -> bool:
        """Whether it can be read from, by the last check."""
        return self.fault is None and not self.outage.is_down

    def record(self, fault: str | None) -> None:
        """Record the result of a check during which the primary answered.

        An available replica is dropped after two faults in a row: a primary that shuts down disconnects its replicas
        first, and without a primary they stay in use.
        """
        if fault is None or self.fault is not None or self._suspected:
            self.fault = fault
        self._suspected = fault is not None

    def record_unknown(self) -> None:
        """Record that the primary did not answer: the lag is unknown, and the last result stays valid."""
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
        """Suppress errors of a select, which the primary then executes."""
        try:
            yield
        except RETRIED_ON_PRIMARY:
            return
        except DatabaseTimeout:
            if not self.outage.is_down:  # the server's own timeout, which the primary would reach as well
                raise


def client_with_role(role: type[Any], kind: type[Any], credentials: Mapping[str, Any], name: str) -> Any:
    """A client of the connection `name`, of an engine's class `kind`, with a role: Primary or Replica."""
    return type(role.__name__, (role, kind), {"__module__": __name__})(**credentials, connection_name=name)


def probe_client(kind: type[Any], credentials: Mapping[str, Any], client: EngineClient) -> EngineClient:
    """A client for the checks only, which must not wait for the pool of a busy replica."""
    single = {name: value for name, value in credentials.items() if name not in ("maxsize", "minsize")}
    if "maxsize" in credentials:
        single |= {"minsize": 1, "maxsize": 1}
    probe: EngineClient = kind(**single, connection_name=client.connection_name)
    probe.outage = client.outage  # shared, so that an outage is logged once
    return probe
