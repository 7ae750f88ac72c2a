"""Health: whether to restart a process, and whether to give it requests, are two questions."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import pytest

from sanicbase.ops.health import Health


class Stub:
    """A resource that answers as it is told."""

    def __init__(
        self, name: str, error: Exception | None = None, *, frozen: bool = False, critical: bool = True
    ) -> None:
        self.name = name
        self.error = error
        self.frozen = frozen
        self.critical = critical
        self.pings = 0

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def ping(self) -> None:
        self.pings += 1
        if self.frozen:
            await asyncio.Event().wait()
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("resources", "status"),
    [
        ([], "ready"),
        ([Stub("database"), Stub("redis", critical=False)], "ready"),
        ([Stub("database"), Stub("redis", OSError("gone"), critical=False)], "degraded"),
        ([Stub("database", OSError("gone")), Stub("redis", critical=False)], "unready"),
        ([Stub("database"), Stub("search", frozen=True)], "unready"),
    ],
)
async def test_the_status_depends_on_the_resource_that_is_down(resources: list[Any], status: str) -> None:
    reported, findings = await Health().check(resources)
    assert reported == status
    assert set(findings) == {resource.name for resource in resources}


async def test_a_frozen_resource_does_not_delay_others() -> None:
    frozen, well, frozen_too = Stub("a", frozen=True), Stub("b"), Stub("c", frozen=True)
    check = asyncio.create_task(Health().check([frozen, well, frozen_too]))
    while not all(stub.pings for stub in (frozen, well, frozen_too)):  # all are asked before the first has answered
        await asyncio.sleep(0)
    _, findings = await check
    assert [finding["status"] for finding in findings.values()] == ["silent", "ok", "silent"]


async def test_concurrent_requests_cause_one_ping() -> None:
    database, health = Stub("database"), Health()
    await asyncio.gather(*(health.check([database]) for _ in range(100)))
    assert database.pings == 1


async def test_a_cancelled_request_does_not_affect_the_others() -> None:
    health, database = Health(), Stub("database", frozen=True)
    first, second = (asyncio.create_task(health.check([database])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)[0] == "unready"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_unauthorized_clients_do_not_get_the_reason() -> None:
    _, findings = await Health().check([Stub("database", OSError("postgres://u:geheim@10.0.0.1"))])
    assert "geheim" not in str(findings)
