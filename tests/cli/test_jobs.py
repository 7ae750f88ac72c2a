"""`sanicGuider jobs …` on the example service: a real Redis, and jobs in every state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result

from sanicbase import lifespan
from sanicbase.cli import main
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.queues.interface import Outcome, Queue
from sanicbase.jobs.queues.opening import open_queue
from sanicbase.jobs.status import RunState, StatusWriter
from xi_test.config import XiTestConfig

T = TypeVar("T")

WAITING, RUNNING, DELAYED, DEAD = (letter * 32 for letter in "abcd")


def message(job_id: str, **labels: int | str) -> JobMessage:
    return JobMessage(
        task_id=job_id, task_name="shop.mail", kwargs={"user_id": 7}, labels=Labels.model_validate(labels)
    )


@pytest.fixture
def service(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> XiTestConfig:
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url)
    monkeypatch.setattr("xi_test.config.config", config)
    inside(config, fill)
    return config


def inside(config: XiTestConfig, work: Callable[[Queue], Awaitable[T]]) -> T:
    async def run() -> T:
        async with lifespan(config, check=False):
            return await work(open_queue("default"))

    return asyncio.run(run())


async def fill(queue: Queue) -> None:
    await queue.push(message(DEAD, attempt=3))
    taken = await queue.take("worker", takes_over=False)
    assert isinstance(taken, list)
    letter = DeadLetter.of(taken[0].data, reason="LookupError: no such user", trace="Traceback: in send_mail")
    await queue.finish("worker", taken[0], Outcome.DEAD, letter=letter.to_bytes())
    await queue.push(message(RUNNING))
    await queue.take("worker", takes_over=False)
    await queue.push(message(WAITING))
    await queue.push(message(DELAYED, delay=3_600_000, unique="one"))


async def take(queue: Queue) -> str | None:
    taken = await queue.take("worker", takes_over=False)
    return taken[0].job_id if isinstance(taken, list) else None


def cli(*args: str) -> Result:
    return CliRunner().invoke(main, ["jobs", *args])


def states(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return {line.split()[0]: line.split()[2] for line in result.output.splitlines()[1:]}


def test_jobs_are_listed_with_their_states(service: XiTestConfig) -> None:
    listed = cli("list", "xi_test")
    assert states(listed) == {WAITING: "waiting", RUNNING: "running", DELAYED: "delayed", DEAD: "dead"}
    assert "LookupError: no such user" in listed.output
    assert states(cli("list", "xi_test", "--state", "dead")) == {DEAD: "dead"}
    assert states(cli("list", "xi_test", "--state", "waiting", "--limit", "1")) == {WAITING: "waiting"}


def test_a_dead_letter_is_shown_and_runs_again_with_all_of_its_retries(service: XiTestConfig) -> None:
    result = cli("show", "xi_test", DEAD)
    assert '"kwargs":{"user_id":7}' in result.output
    assert "LookupError: no such user\nTraceback: in send_mail\n" in result.output
    assert cli("retry", "xi_test", DEAD, DELAYED).output == f"{DEAD} runs again.\n{DELAYED} runs again.\n"
    assert states(cli("list", "xi_test")) == {
        WAITING: "waiting",
        RUNNING: "running",
        DEAD: "waiting",
        DELAYED: "waiting",
    }
    assert '"attempt":1' in cli("show", "xi_test", DEAD).output
    assert inside(service, take) == WAITING


def test_a_job_that_does_not_wait_is_not_repeated(service: XiTestConfig) -> None:
    refused = cli("retry", "xi_test", WAITING)
    assert refused.output == f"{WAITING} is neither dead nor delayed, or another unique job waits or runs.\n"
    assert refused.exit_code == 1


@pytest.mark.parametrize("job_id", [WAITING, RUNNING, DELAYED, DEAD])
def test_a_job_is_dropped_wherever_it_is(service: XiTestConfig, job_id: str) -> None:
    assert cli("drop", "xi_test", job_id).output == f"{job_id} was dropped.\n"
    assert job_id not in states(cli("list", "xi_test"))
    missing = cli("show", "xi_test", job_id)
    assert missing.exit_code == 1
    assert f"xi_test has no job {job_id}." in missing.output
    assert len(states(cli("list", "xi_test"))) == 3


def test_nothing_is_taken_from_a_queue_that_is_paused(service: XiTestConfig) -> None:
    assert cli("pause", "xi_test").output == "The queue default is paused.\n"
    assert cli("pause", "xi_test", "--queue", "default").output == "The queue default was paused already.\n"
    assert cli("list", "xi_test").output.startswith("The queue default is paused.\n")
    assert inside(service, take) is None
    assert cli("resume", "xi_test").output == "The queue default is no longer paused.\n"
    assert cli("resume", "xi_test").output == "The queue default was not paused.\n"
    assert inside(service, take) == WAITING


def test_a_queue_that_does_not_exist_is_not_paused(service: XiTestConfig) -> None:
    refused = cli("pause", "xi_test", "--queue", "mial")
    assert refused.exit_code == 1
    assert "xi_test has no queue mial. It has default." in refused.output


def test_the_progress_and_the_result_of_a_job_are_shown(service: XiTestConfig) -> None:
    async def report(queue: Queue) -> None:
        await StatusWriter(RUNNING, None).progress(7, 20)
        await StatusWriter("e" * 32, 60.0).end(RunState.SUCCEEDED, b'{"sum":7}')

    inside(service, report)
    assert cli("show", "xi_test", RUNNING).output.startswith(f"{RUNNING}  running  7/20\n")
    assert cli("show", "xi_test", "e" * 32).output == f'{"e" * 32}  succeeded  {{"sum":7}}\n'


def test_an_id_is_needed(service: XiTestConfig) -> None:
    assert "Specify the ID of a job." in cli("show", "xi_test").output
