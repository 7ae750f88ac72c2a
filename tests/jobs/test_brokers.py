"""Jobs in RabbitMQ and in NATS JetStream: the same guarantees as in Redis, on the real servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import Config, ConfigError, ResourceError, current_job, job, lifespan, transaction
from sanicbase.brokers import get_broker
from sanicbase.jobs import broker as broker_module
from sanicbase.jobs import outbox, queue_lengths
from sanicbase.jobs.message import JobMessage, Labels
from sanicbase.jobs.queues import nats_queue, rabbitmq_queue
from sanicbase.jobs.queues import orders as orders_module
from sanicbase.jobs.queues.inspection import JobState, ListedJob
from sanicbase.jobs.queues.interface import NothingReady, Outcome, Queue, Taken
from sanicbase.jobs.queues.opening import inspect_queue, open_queue
from sanicbase.jobs.queues.orders import Orders
from sanicbase.jobs.worker import run_jobs
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.shared_values import SharedValues
from tests.db.outages import proxied
from tests.jobs.ordering import OrderingConfig, Outbox
from tests.jobs.running import remove_queues, until, working

BROKERS = ["rabbitmq", "nats"]
LENGTHS = "sanicbase_job_queue_jobs"
ran: list[Any] = []


@pytest.fixture(params=BROKERS)
async def config(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    service_name: str,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Config]:
    monkeypatch.chdir(tmp_path)
    ran.clear()
    caplog.set_level("INFO", "sanicbase.jobs")
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    url = request.getfixturevalue(f"{request.param}_url")

    class ShopConfig(Config):
        SERVER_NAME = service_name

    config = ShopConfig(REDIS_URL=redis_url, JOBS_URL=url, GRACEFUL_SHUTDOWN_TIMEOUT=0.2)
    async with lifespan(config):
        yield config
        await remove_queues(service_name)


@job(name="note", timeout=60)
async def note(value: int) -> None:
    ran.append(value)


@job(name="failing", retries=1, backoff=[0.1], timeout=60)
async def fail(value: int) -> None:
    ran.append(current_job().attempt)
    raise LookupError(f"no {value}")


@job(name="slow", timeout=600)
async def slow() -> None:
    ran.append("begins")
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        ran.append("stopped")
        raise


async def take(queue: Queue, consumer: str = "worker") -> Taken:
    """The next job of the queue, as soon as there is one."""
    async with asyncio.timeout(30):
        while not isinstance(taken := await queue.take(consumer, takes_over=True), list):
            await queue.wait(taken.last, 1000)
    return taken[0]


async def died(job_id: str) -> ListedJob:
    """The dead letter of that job, as soon as there is one."""
    async with asyncio.timeout(60):
        while (found := await inspect_queue("default").find(job_id)) is None or found.state is not JobState.DEAD:
            await asyncio.sleep(0.05)
    return found


async def dies(queue: Queue) -> None:
    """What a kill does to the worker that has taken jobs from the queue."""
    if (channel := getattr(queue, "_consuming", None)) is not None:
        await channel.close()


async def test_jobs_run_and_delayed_ones_later_and_none_is_left(config: Config) -> None:
    await note.delayed(0.3).enqueue(4)
    for value in range(3):
        await note.enqueue(value)
    async with working(config, note):
        await until(lambda: len(ran) == 4)
    assert ran == [0, 1, 2, 4]
    async with working(config, fail):
        await fail.enqueue(1)
        await until(lambda: ran[4:] == [1, 2])  # none of the first ones runs again


async def test_a_job_that_fails_runs_again_and_is_a_dead_letter_then_which_runs_again_on_demand(config: Config) -> None:
    job_id = await fail.enqueue(7)
    inspection = inspect_queue("default")
    async with working(config, fail):
        dead = await died(job_id)
        assert ran == [1, 2]
        assert dead.letter is not None
        assert dead.letter.reason == "LookupError: no 7"
        assert [job.id for job in await inspection.listed(JobState.DEAD, 10)] == [job_id]
        assert await inspection.retry(dead)
        await until(lambda: ran == [1, 2, 1, 2])
        dead = await died(job_id)
    assert await inspection.drop(dead)
    assert await inspection.find(job_id) is None
    assert not await inspection.drop(dead)
    assert await inspection.listed(JobState.DEAD, 10) == []


async def test_the_job_of_a_worker_that_dies_is_given_to_another_one(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_queue, "LEASE", 1)
    job_id = await note.enqueue(1)
    first, second = open_queue("default"), open_queue("default")
    taken = await take(first)
    assert (taken.job_id, taken.times) == (job_id, 1)
    await dies(first)
    again = await take(second)
    assert (again.job_id, again.times) == (job_id, 2)
    assert await second.finish("worker", again, Outcome.DONE)
    await second.forget_consumer("worker")


async def test_a_job_is_not_given_to_a_second_worker_while_the_first_one_keeps_it(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_queue, "LEASE", 1)
    await note.enqueue(1)
    first, second = open_queue("default"), open_queue("default")
    taken = await take(first)
    await second.take("other", takes_over=True)
    for _ in range(10):  # two and a half leases
        assert await first.keep("worker", [taken.entry]) == set()
        await second.wait("", 250)
        assert not isinstance(await second.take("other", takes_over=True), list)
    assert await first.finish("worker", taken, Outcome.DONE)


async def test_a_job_that_cannot_be_handed_back_keeps_no_other_from_its_worker(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = open_queue("default")
    await note.enqueue(1)
    first = await take(queue)
    await queue.finish("worker", first, Outcome.AGAIN, message=first.data)
    async with asyncio.timeout(30):
        while not queue._arrived:  # type: ignore[attr-defined]
            await queue.take("worker", takes_over=True, count=0)
            await queue.wait("", 100)
    ready = queue._arrived[0]  # type: ignore[attr-defined]
    delayed = SimpleNamespace(headers={}, message_id="later", body=b"", data=b"", metadata=None, nak=unreached)
    queue._arrived.append(delayed)  # type: ignore[attr-defined]
    module = rabbitmq_queue if config.JOBS_URL.startswith("amqp") else nats_queue
    for name in ("_number", "_remaining"):
        if (known := getattr(module, name, None)) is not None:
            monkeypatch.setattr(
                module, name, lambda message, *args, known=known: 5 if message is delayed else known(message, *args)
            )
    monkeypatch.setattr(queue, "_add", unreached)
    assert ready is not delayed
    taken = await queue.take("worker", takes_over=True, count=2)
    assert isinstance(taken, list)
    assert [JobMessage.from_bytes(one.data).task_name for one in taken] == ["note"]
    with pytest.raises(OSError, match="no server"):
        await queue.take("worker", takes_over=True, count=2)


async def unreached(*_: object, **__: object) -> None:
    raise OSError("There is no server.")


async def test_leases_are_renewed_after_a_reconnection(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    if not config.JOBS_URL.startswith("nats"):
        pytest.skip("RabbitMQ gives the jobs of a lost channel to others.")
    monkeypatch.setattr(nats_queue, "LEASE", 1)
    await note.enqueue(1)
    first, second = open_queue("default"), open_queue("default")
    taken = await take(first)
    await second.take("other", takes_over=True)
    broker = get_broker()
    assert broker is not None
    await broker.close()
    for _ in range(10):  # two and a half leases
        await first.keep("worker", [taken.entry])
        await second.wait("", 250)
        assert not isinstance(await second.take("other", takes_over=True), list)
    assert await first.finish("worker", taken, Outcome.DONE)


async def test_nothing_is_taken_from_a_queue_that_is_paused_and_what_had_arrived_is_put_back(config: Config) -> None:
    for value in range(3):
        await note.enqueue(value)
    queue, pause = open_queue("default"), inspect_queue("default").pause
    await take(queue)  # the others may have arrived
    assert await pause.begin()
    assert not await pause.begin()
    await note.enqueue(3)
    async with asyncio.timeout(30):
        while not await queue._orders.is_paused():  # type: ignore[attr-defined]
            await queue.wait("", 100)
    for _ in range(5):
        await queue.wait("", 100)
        assert isinstance(await queue.take("worker", takes_over=True), NothingReady)
    async with working(config, note):
        assert await pause.end()
        await until(lambda: {1, 2, 3} <= set(ran))
    assert not await pause.end()


async def test_a_cancelled_job_does_not_run_whether_it_waits_or_is_delayed(config: Config) -> None:
    assert await note.cancel(await note.enqueue(1))
    assert await note.cancel(await note.delayed(0.5).enqueue(2))
    await note.delayed(1).enqueue(3)
    async with working(config, note):
        await until(lambda: ran == [3])
    assert await left(open_queue("default")) == 0


async def test_the_run_of_a_cancelled_job_is_cancelled_and_nobody_gets_the_job(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(broker_module, "HEARTBEAT", 0.2)
    async with working(config, slow, note, concurrency=1):
        job_id = await slow.enqueue()
        await note.enqueue(2)
        await until(lambda: ran == ["begins"])
        assert await slow.cancel(job_id)  # its worker takes no others, so it learns this by its heartbeat
        await until(lambda: ran == ["begins", "stopped", 2])
    assert "and another worker has it, or it was dropped" in caplog.text
    assert await left(open_queue("default")) == 0


async def test_a_job_that_died_and_was_cancelled_too_late_runs_again_on_demand(config: Config) -> None:
    inspection = inspect_queue("default")
    async with working(config, fail):
        job_id = await fail.enqueue(7)
        dead = await died(job_id)
        assert await fail.cancel(job_id)
        await asyncio.sleep(2 * orders_module.KNOWN_FOR)  # the worker knows of it
        assert await inspection.retry(dead)
        await until(lambda: ran == [1, 2, 1, 2])


async def test_the_latest_cancellations_are_known(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "MAX_CANCELLED", 3)
    ids = [await note.enqueue(value) for value in range(5)]
    for job_id in ids[:2]:
        assert await note.cancel(job_id)
    queue = open_queue("default")
    orders: Orders = queue._orders  # type: ignore[attr-defined]
    await orders.refresh()
    assert [orders.is_cancelled(job_id) for job_id in ids] == [True, True, False, False, False]
    for job_id in ids[2:]:
        assert await note.cancel(job_id)
    await orders.refresh()
    later: Orders = open_queue("default")._orders  # type: ignore[attr-defined]  # as of a worker that starts now
    await later.refresh()
    for known in (orders, later):
        assert [known.is_cancelled(job_id) for job_id in ids] == [False, False, True, True, True]


async def left(queue: Queue) -> int:
    """How many jobs wait or run."""
    lengths = await queue.lengths()
    return lengths["waiting"] + lengths.get("running", 0)


async def test_jobs_in_nats_are_listed_found_dropped_and_run_at_once(config: Config) -> None:
    if not config.JOBS_URL.startswith("nats"):
        pytest.skip("RabbitMQ shows no job without giving it away.")
    inspection = inspect_queue("default")

    async def ids(state: JobState) -> list[str]:
        return [job.id for job in await inspection.listed(state, 10)]

    running = await note.enqueue(0)
    delayed = await note.delayed("1h").enqueue(1)
    queue = open_queue("default")
    taken = await take(queue)
    waiting = [await note.enqueue(value) for value in (2, 3)]
    assert await ids(JobState.RUNNING) == [running]
    assert await ids(JobState.DELAYED) == [delayed]
    assert await ids(JobState.WAITING) == waiting
    assert [job.id for job in await inspection.listed(JobState.WAITING, 1)] == waiting[:1]
    found = [await inspection.find(job_id) for job_id in (running, delayed, *waiting)]
    assert [job.message.kwargs["value"] for job in found if job and job.message] == [0, 1, 2, 3]
    assert [job.state for job in found if job] == ["running", "delayed", "waiting", "waiting"]
    assert found[0]
    assert found[1]
    assert found[2]
    assert not await inspection.retry(found[0]), "it runs already"
    assert await inspection.drop(found[2])
    assert not await inspection.drop(found[2])
    assert await inspection.retry(found[1])
    assert not await inspection.retry(found[1])
    assert await ids(JobState.DELAYED) == []
    assert await ids(JobState.WAITING) == [waiting[1], delayed]
    await queue.finish("worker", taken, Outcome.DONE)
    await queue.forget_consumer("worker")
    async with working(config, note):
        await until(lambda: sorted(ran) == [1, 3])
    assert await left(queue) == 0


async def test_a_process_connects_again_after_the_server_has_cut_its_connections(config: Config) -> None:
    broker = get_broker()
    assert broker is not None
    async with proxied(config.JOBS_URL) as proxy:
        await broker.close()  # it connects when it is used
        broker.url = proxy.url
        async with working(config, note):
            await note.enqueue(1)
            await until(lambda: ran == [1])
            proxy.reset_all()
            await repeat(partial(note.enqueue, 2))
            await until(lambda: 2 in ran)
        proxy.reset_all()
        await repeat(broker.ping)
        await broker.close()
        broker.url = config.JOBS_URL


async def repeat(call: Callable[[], Awaitable[object]]) -> None:
    """Call until the server answers."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ResourceError):
                await call()
                return
            await asyncio.sleep(0.01)


async def test_a_worker_has_room_for_as_many_jobs_after_its_channel_was_lost(config: Config) -> None:
    if not config.JOBS_URL.startswith("amqp"):
        pytest.skip("Workers ask NATS for jobs.")
    queue = open_queue("default")
    await queue.take("worker", takes_over=True, count=3)
    await dies(queue)
    await queue.take("worker", takes_over=True, count=1)
    for value in range(3):
        await note.enqueue(value)
    taken: list[Taken] = []
    async with asyncio.timeout(30):
        while len(taken) < 3:
            more = await queue.take("worker", takes_over=True, count=3)
            taken += more if isinstance(more, list) else []
            await queue.wait("", 100)
    assert len(taken) == 3, "none of them was acknowledged before the last one came"
    for one in taken:
        await queue.finish("worker", one, Outcome.DONE)


async def test_a_worker_that_stops_puts_its_job_back(config: Config) -> None:
    await slow.enqueue()
    async with working(config, slow):
        await until(lambda: ran == ["begins"])
    assert ran == ["begins", "stopped"]
    again = await take(open_queue("default"))
    assert JobMessage.from_bytes(again.data).labels.attempt == 1
    assert again.times == 1


async def test_a_job_that_a_worker_does_not_know_is_left_to_a_newer_one(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(broker_module, "UNKNOWN_PAUSE", 0.2)
    await note.enqueue(1)
    async with working(config, slow):
        await until(lambda: "a job note, which this worker does not know" in caplog.text)
    assert ran == []
    async with working(config, note):
        await until(lambda: ran)
    assert ran == [1]


async def test_an_invalid_message_is_a_dead_letter(config: Config) -> None:
    await open_queue("default").push_data("poison", b"\xff{", Labels())
    inspection = inspect_queue("default")
    async with working(config, note):
        while not (dead := await inspection.listed(JobState.DEAD, 10)):
            await asyncio.sleep(0.05)
    assert dead[0].letter is not None
    assert dead[0].letter.reason.startswith("It is not the message of a job")


async def test_unsupported_options_of_a_broker_are_refused_at_the_start(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    only = job(name="only", unique=True)(note.function)
    with pytest.raises(ConfigError, match=r"The job only is `unique`, but (RabbitMQ|NATS) has no unique jobs"):
        await only.enqueue(1)
    with pytest.raises(ConfigError, match="The job only is `unique`"):
        await run_jobs([only], config)
    async with working(config, job(name="long")(note.function)):
        await asyncio.sleep(0)
    warned = "for longer than its consumer_timeout" in caplog.text
    assert warned == config.JOBS_URL.startswith("amqp")


async def test_a_worker_reconnects_after_its_connection_was_lost(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(config, note):
        await note.enqueue(1)
        await until(lambda: ran == [1])
        broker = get_broker()
        assert broker is not None
        await broker.close()
        await note.enqueue(2)
        await until(lambda: set(ran) == {1, 2})  # the end of the first run may not have reached the server


@pytest.mark.parametrize("url", ["amqp://guest:guest@127.0.0.1:1/", "nats://127.0.0.1:1"])
async def test_jobs_of_a_transaction_wait_in_the_outbox_while_the_broker_is_away(
    url: str, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outbox._Relay, "wake", lambda relay: None)
    async with lifespan(OrderingConfig(REDIS_URL=redis_url, JOBS_URL=url, CONNECT_TIMEOUT=1), check=False):
        await Tortoise.generate_schemas()
        with pytest.raises(ResourceError, match=r"was not enqueued, because (RabbitMQ|NATS) does not answer"):
            await note.enqueue(1)
        async with transaction():
            await note.enqueue(2)
        await outbox._relay_of(Outbox).drain()
        assert await Outbox.all().count() == 1


@pytest.mark.parametrize("url", ["redis://host", "amqp://", "kafka://host:9092"])
def test_a_url_of_another_broker_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="JOBS_URL"):
        OrderingConfig(JOBS_URL=url)


async def test_the_lengths_of_a_queue_are_metrics_of_its_workers(config: Config) -> None:
    shared = SharedValues()
    count_into(shared)

    def lengths() -> dict[str, float]:
        found = {dict(series.labels)["state"]: values[0] for series, values in shared.read() if series.name == LENGTHS}
        return {state: found[state] for state in ("waiting", "dead") if state in found}

    try:
        for value in range(3):
            await note.enqueue(value)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(queue_lengths, "INTERVAL", 0.05)
            measuring = asyncio.create_task(queue_lengths.measure_queues([open_queue("default")]))
            await until(lambda: lengths() == {"waiting": 3, "dead": 0})
            async with working(config, note):
                await until(lambda: lengths() == {"waiting": 0, "dead": 0})
            await fail.enqueue(1)
            async with working(config, fail):
                await until(lambda: lengths() == {"waiting": 0, "dead": 1})
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
    finally:
        count_into(None)
        shared.close()
