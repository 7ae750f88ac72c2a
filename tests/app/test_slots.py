"""The slots of the supervisor when a worker ends in the middle of its replacement, step by step."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.server import supervisor as module
from sanicbase.server.supervisor import Supervisor


class Worker:
    """A worker that ends, and becomes ready, when the test says so."""

    def __init__(self, pid: int) -> None:
        self.number, self.pid, self.name = 0, pid, f"worker {pid}"
        self.started_at = time.monotonic()
        self.is_serving = self.was_ready = True
        self.may_be_ready = asyncio.Event()
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ended(self) -> str:
        return await asyncio.shield(self.end)

    async def ready(self, seconds: float) -> None:
        await self.may_be_ready.wait()

    def stop(self) -> None:
        if not self.end.done():
            self.end.set_result("was stopped")

    kill = stop

    @property
    def is_alive(self) -> bool:
        return not self.end.done()


class Slots(Supervisor):
    """One slot, whose workers are those above."""

    def __init__(self) -> None:
        app: Any = SimpleNamespace(ctx=SimpleNamespace(bind_address=SimpleNamespace(workers=1)))
        silent: Any = SimpleNamespace(status=lambda text: None)
        timeouts: Any = SimpleNamespace(start=10.0, stop=10.0, stop_during_start=10.0)
        unused: Any = None
        metrics: Any = SimpleNamespace(update_with=lambda update: None)
        super().__init__(app, unused, unused, unused, timeouts, silent, metrics)
        self.spawned: list[Worker] = []
        self.slots: list[Any] = [self.new()]
        self._slots = self.slots

    def new(self) -> Worker:
        worker = Worker(len(self.spawned) + 1)
        self.spawned.append(worker)
        return worker

    async def _spawn(self, number: int, *, check: bool) -> Any:
        return self.new()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become fiftieths."""
    monkeypatch.setattr(module, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(module, "STABLE", 0.05)


@pytest.mark.usefixtures("quick")
async def test_a_worker_that_ends_during_its_replacement_is_replaced_once() -> None:
    slots = Slots()
    keeping = asyncio.create_task(slots._keep_alive(0))
    replacing = asyncio.create_task(slots._replace(0))
    await asyncio.sleep(0.01)
    old, new = slots.spawned
    old.end.set_result("died")
    await asyncio.sleep(0.01)  # its slot waits to start another one
    new.may_be_ready.set()
    assert await replacing
    await asyncio.sleep(0.2)
    assert [worker for worker in slots.spawned if worker.is_alive] == slots.slots == [new]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.usefixtures("quick")
async def test_a_slot_that_a_reload_has_mended_is_reported_as_serving() -> None:
    reports: list[Report] = []
    send_reports_to(reports.append)
    slots = Slots()
    slots._looping.add(0)
    replacing = asyncio.create_task(slots._replace(0))
    await asyncio.sleep(0.01)
    slots.spawned[1].may_be_ready.set()
    assert await replacing
    await asyncio.sleep(0.2)
    send_reports_to(None)
    assert [(report.kind, report.state) for report in reports] == [("worker", "ended")]
    assert slots._looping == set()
