"""A queue of jobs in NATS JetStream, through nats-py. taskiq-nats can neither delay a job nor keep the lease of a long
one.

    <service>-jobs-<queue>         the stream of the jobs, a work queue, with a durable consumer that its workers share
    <service>-jobs-<queue>-dead    the stream of the dead letters, with a subject for each of them

JetStream gives a job to another worker when its own has been silent for LEASE. A worker takes a delayed job and hands
it back with the remaining delay, which the server counts. A job that is put back or given up is first published and
then acknowledged. The id of the new message contains the sequence of the replaced one, so two workers replace it only
once.

Messages are requested with our own pull requests (JetStream's protocol, ADR-13), because nats-py's `fetch` waits until
the requested number has arrived.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from sanicbase.brokers.jetstream import ANSWER_TIMEOUT, NatsBroker, nats_errors
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.message import JOB_ID, JobMessage, Labels
from sanicbase.jobs.queues.interface import KNOWN_FOR, NothingReady, Outcome, Taken
from sanicbase.jobs.queues.pause import Pause

__all__ = ["NatsQueue"]

LEASE = 7  # seconds after which a job whose worker is silent is given to another one
MAX_DEAD = 10_000  # dead letters that a queue keeps
MAX_LETTER = 900_000  # bytes; NATS takes messages of a MiB
KNOWN_SECONDS = 120  # seconds for which a message that is sent again is known
PULL = 5.0  # seconds that the server keeps a request for messages
CONSUMER = "workers"
DELAY = "Delay"  # the header with the milliseconds of a delay, counted from when the server got the message


class NatsQueue:
    """One queue of a service. Methods raise OSError and TimeoutError when NATS does not respond."""

    server = "NATS"

    def __init__(self, broker: NatsBroker, service: str, name: str, pause: Pause) -> None:
        self.name = name
        self.pause = pause
        self._broker = broker
        self._stream = f"{service}-jobs-{name}"
        self._subject = f"{service}.jobs.{name}"
        self._dead_stream = f"{self._stream}-dead"
        self._dead_subject = f"{service}.dead-jobs.{name}"
        self._inbox: Subscription | None = None
        self._client: Client | None = None  # of the inbox
        self._asked = 0  # messages that are on their way, at most
        self._asked_until = 0.0
        self._arrived: deque[Msg] = deque()
        self._arrival = asyncio.Event()
        self._held: dict[str, Msg] = {}

    async def push(self, message: JobMessage, *, known_for: int = KNOWN_FOR) -> str:
        """Add a job, unless it was added in the last two minutes. Returns its id."""
        return await self.push_data(message.task_id, message.to_bytes(), message.labels, known_for=known_for)

    async def push_data(self, job_id: str, data: bytes, labels: Labels, *, known_for: int = KNOWN_FOR) -> str:
        """Like `push`, for bytes that may not be a message; a worker checks them."""
        delay = max(0, labels.due - round(time.time() * 1000)) if labels.due else labels.delay
        await self._publish(self._subject, data, job_id, delay=delay)
        return job_id

    async def forget_ids(self, job_ids: Sequence[str]) -> None:
        """Do nothing: JetStream forgets ids by itself."""

    async def take(self, consumer: str, *, takes_over: bool, count: int = 1) -> list[Taken] | NothingReady:
        """Take up to `count` jobs that have arrived, and request more if there are none."""
        taken: list[Taken] = []
        if await self.pause.holds():
            await self.forget_consumer(consumer)
            self._arrival.clear()
            return NothingReady("", None)
        self._arrival.clear()
        while self._arrived and len(taken) < count:
            message = self._arrived[0]
            if (remaining := _remaining(message)) > 0:
                if taken:  # they are returned even if this one cannot be handed back
                    break
                self._arrived.popleft()  # that of a closed client must not keep the others
                with nats_errors():
                    await message.nak(delay=remaining)
                continue
            self._arrived.popleft()
            entry = str(message.metadata.sequence.stream)
            is_running_here = entry in self._held  # given twice, because NATS was away for longer than the lease
            self._held[entry] = message
            if not is_running_here:
                early = 1 if (message.headers or {}).get(DELAY) else 0  # it was handed back once
                times = max(1, message.metadata.num_delivered - early)
                taken.append(Taken(entry, _job_id(message), message.data, times))
        if not taken and not self._arrived:
            await self._ask(count)
        return taken or NothingReady("", None)

    async def keep(self, consumer: str, entries: Sequence[str]) -> set[str]:
        """Renew the leases of these runs and of the messages that have arrived. Losses are not detected."""
        with nats_errors():
            client = await self._broker.client()  # that of a message may be closed
            for message in [*self._arrived, *(self._held[entry] for entry in entries if entry in self._held)]:
                await client.publish(message.reply, b"+WPI")
        return set()

    async def finish(
        self,
        consumer: str,
        taken: Taken,
        outcome: Outcome,
        *,
        message: bytes = b"",
        pause: float = 0.0,
        unique: str = "",
        letter: bytes = b"",
    ) -> bool:
        """End a run, even if another worker has the job by now."""
        replacing = f"{taken.job_id}-{taken.entry}"
        if outcome is Outcome.AGAIN:
            await self._publish(self._subject, message, replacing, job_id=taken.job_id, delay=round(pause * 1000))
        elif outcome is Outcome.DEAD:
            if len(letter) > MAX_LETTER:
                letter = DeadLetter.of(taken.data[: MAX_LETTER // 10], reason="The message is too long.").to_bytes()
            await self._publish(f"{self._dead_subject}.{taken.job_id}", letter, replacing)
        with nats_errors():
            # By the current client, because that of the message may be closed.
            await (await self._broker.client()).request(self._held[taken.entry].reply, b"+ACK", timeout=ANSWER_TIMEOUT)
        self._held.pop(taken.entry, None)
        return True

    async def wait(self, last: str, milliseconds: int) -> None:
        """Return when a job has arrived, or after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):
                await self._arrival.wait()

    async def lengths(self) -> dict[str, int]:
        """How many jobs are waiting, running and dead. Delayed ones are among those that run, because a worker has
        received them."""
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            jetstream = client.jetstream(timeout=ANSWER_TIMEOUT)
            consumer = await jetstream.consumer_info(self._stream, CONSUMER)
            dead = (await jetstream.stream_info(self._dead_stream)).state.messages
        return {"waiting": consumer.num_pending or 0, "running": consumer.num_ack_pending or 0, "dead": dead}

    async def tidy(self) -> None:
        """Do nothing: JetStream keeps nothing of workers that are gone."""

    async def forget_consumer(self, consumer: str) -> None:
        """Hand back the jobs that have arrived and have not started, and request no more."""
        inbox, self._inbox = self._inbox, None
        with nats_errors():
            if inbox is not None and self._client is not None and self._client.is_connected:
                await inbox.drain()  # type: ignore[no-untyped-call]  # with what is on its way
                while self._arrived:
                    await self._put_back(self._arrived.popleft())
                await self._client.flush()

    async def _put_back(self, message: Msg) -> None:
        """Add the message anew, because handing it back would count as the death of a worker."""
        job_id, delay = _job_id(message), round(max(0.0, _remaining(message)) * 1000)
        replacing = f"{job_id}-{message.metadata.sequence.stream}"
        await self._publish(self._subject, message.data, replacing, job_id=job_id, delay=delay)
        await message.ack()

    async def _ask(self, count: int) -> None:
        """Request up to `count` messages, unless a request is open."""
        client = await self._broker.client()
        with nats_errors():
            if self._inbox is None or self._client is not client:
                await self._declare(client)
                inbox = client.new_inbox()
                self._arrived.clear()
                self._inbox, self._client, self._asked = await client.subscribe(inbox, cb=self._on_message), client, 0
            now = time.monotonic()
            if self._asked and now < self._asked_until:
                return
            self._asked, self._asked_until = count, now + PULL
            request = {"batch": count, "expires": round(PULL * 1e9)}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{CONSUMER}"
            await client.publish(subject, orjson.dumps(request), reply=self._inbox.subject)

    async def _on_message(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers and not message.data:
            self._asked = 0  # the request is over
        else:
            self._asked = max(0, self._asked - 1)
            self._arrived.append(message)
        self._arrival.set()

    async def _publish(self, subject: str, data: bytes, message_id: str, *, job_id: str = "", delay: int = 0) -> None:
        """Add a message to a stream, and wait until the server has it on disk."""
        headers = {"Nats-Msg-Id": message_id, "Job-Id": job_id or message_id}
        if delay > 0:
            headers[DELAY] = str(delay)
        client = await self._broker.client()
        with nats_errors():
            await self._declare(client)
            try:
                await client.jetstream(timeout=ANSWER_TIMEOUT).publish(subject, data, headers=headers)
            except NoStreamResponseError:  # the server has lost its data
                self._broker.declared.pop(self._stream, None)
                raise

    async def _declare(self, client: Client) -> None:
        if self._broker.declared.get(self._stream) is client:
            return
        jetstream = client.jetstream(timeout=ANSWER_TIMEOUT)
        await _add_stream(
            jetstream,
            StreamConfig(
                name=self._stream,
                subjects=[self._subject],
                retention=RetentionPolicy.WORK_QUEUE,
                storage=StorageType.FILE,
                duplicate_window=KNOWN_SECONDS,
            ),
        )
        await _add_stream(
            jetstream,
            StreamConfig(
                name=self._dead_stream,
                subjects=[f"{self._dead_subject}.*"],
                storage=StorageType.FILE,
                max_msgs=MAX_DEAD,
                max_msgs_per_subject=1,
                duplicate_window=KNOWN_SECONDS,
            ),
        )
        await jetstream.add_consumer(
            self._stream,
            ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=LEASE, max_ack_pending=-1),
        )
        self._broker.declared[self._stream] = client


async def _add_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Create a stream, unless there is one: its settings may have been changed on purpose, such as its replicas."""
    assert config.name  # noqa: S101  (for mypy)
    try:
        await jetstream.stream_info(config.name)
    except NotFoundError:
        await jetstream.add_stream(config)


def _remaining(message: Msg) -> float:
    """The seconds until a delayed job is due. The server counts its delay from when it got the message."""
    delay = (message.headers or {}).get(DELAY, "")
    if not delay.isdecimal():
        return 0.0
    return message.metadata.timestamp.timestamp() + int(delay) / 1000 - time.time()


def _job_id(message: Msg) -> str:
    """The id of the job, or one from the number of the message if another program has sent it."""
    given = (message.headers or {}).get("Job-Id", "")
    return given if JOB_ID.fullmatch(given) else f"message-{message.metadata.sequence.stream}"
