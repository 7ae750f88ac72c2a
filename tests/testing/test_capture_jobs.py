"""Jobs in the tests of a service: captured, asserted, and run inline."""

from __future__ import annotations

from pathlib import Path

import pytest
from tortoise import Tortoise

from sanicbase import current_job, job, lifespan, transaction
from sanicbase.jobs import JobArgumentsInvalid, outbox
from sanicbase.testing import capture_jobs
from tests.jobs.ordering import Order, OrderingConfig, Outbox

ran: list[object] = []


@job(name="welcome")
async def welcome(user_id: int) -> None:
    ran.append((current_job().name, user_id))
    await remind.delayed("7d").enqueue(user_id=user_id)


@job(name="remind")
async def remind(user_id: int) -> None:
    ran.append(("remind", user_id))


@job(name="fails")
async def fails() -> None:
    raise LookupError


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    ran.clear()


async def test_jobs_are_captured_asserted_and_run_without_redis() -> None:
    with capture_jobs() as jobs:
        await welcome.enqueue(7)
        await outbox.add("remind", {"user_id": 8}, queue="mail")
        assert [(captured.name, captured.arguments, captured.queue) for captured in jobs] == [
            ("welcome", {"user_id": 7}, "default"),
            ("remind", {"user_id": 8}, "mail"),
        ]
        assert jobs.arguments_of(welcome) == [{"user_id": 7}]
        with pytest.raises(JobArgumentsInvalid):
            await welcome.enqueue("seven")  # type: ignore[arg-type]
        assert await jobs.run(welcome, remind) == 3
    assert ran == [("welcome", 7), ("remind", 8), ("remind", 7)]


async def test_a_delay_is_known_and_an_exception_reaches_the_test() -> None:
    with capture_jobs() as jobs:
        await remind.delayed("10m").enqueue(1)
        await fails.enqueue()
        assert [captured.delay for captured in jobs] == [600, 0]
        with pytest.raises(LookupError, match="is not among the jobs to run"):
            await jobs.run(fails)
        with pytest.raises(LookupError):
            await jobs.run(fails)


async def test_a_job_of_a_transaction_is_captured_when_it_has_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with lifespan(OrderingConfig(REDIS_URL=redis_url), check=False):
        await Tortoise.generate_schemas()
        with capture_jobs() as jobs:
            async with transaction():
                await Order.create(id=1)
                await welcome.enqueue(1)
                assert jobs == []
            with pytest.raises(RuntimeError):
                async with transaction():
                    await welcome.enqueue(2)
                    raise RuntimeError
            assert jobs.arguments_of(welcome) == [{"user_id": 1}]
            assert await Outbox.all().count() == 0
