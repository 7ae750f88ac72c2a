"""`sanicGuider jobs` on jobs in RabbitMQ and NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sanicbase import job, lifespan
from sanicbase.cli import main
from tests.jobs.running import remove_queues
from xi_test.config import XiTestConfig

MISSING = "a" * 32
Command = Callable[..., str]


@job(name="note")
async def note(value: int) -> None: ...


@pytest.fixture(params=["rabbitmq", "nats"])
def config(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> XiTestConfig:
    url = request.getfixturevalue(f"{request.param}_url")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, JOBS_URL=url)
    monkeypatch.setattr("xi_test.config.config", config)
    return config


@pytest.fixture
def cli(config: XiTestConfig) -> Command:
    asyncio.run(emptied(config))
    return lambda *words: CliRunner().invoke(main, ["jobs", *words]).output


async def emptied(config: XiTestConfig) -> None:
    async with lifespan(config, check=False):
        await remove_queues("xi_test")


async def enqueued(config: XiTestConfig) -> str:
    async with lifespan(config, check=False):
        return await note.enqueue(1)


def test_a_queue_is_paused_and_resumed(cli: Command) -> None:
    assert cli("pause", "xi_test") == "The queue default is paused.\n"
    assert "The queue default is paused." in cli("list", "xi_test")
    assert cli("resume", "xi_test") == "The queue default is no longer paused.\n"


def test_a_waiting_job_is_listed_or_counted_and_dropped_or_cancelled(cli: Command, config: XiTestConfig) -> None:
    job_id = asyncio.run(enqueued(config))
    listed, dropped = cli("list", "xi_test"), cli("drop", "xi_test", job_id)
    if config.JOBS_URL.startswith("nats"):
        assert f"{job_id}  default  waiting  note" in listed
        assert dropped == f"{job_id} was dropped.\n"
        assert job_id not in cli("list", "xi_test")
        assert f"xi_test has no job {MISSING}." in cli("drop", "xi_test", MISSING)
    else:
        assert "RabbitMQ lists dead letters only. Jobs that are waiting: 1." in listed
        assert dropped == f"{job_id} is cancelled, if it waits or runs.\n"
        assert "RabbitMQ finds no job that waits or runs." in cli("show", "xi_test", job_id)
