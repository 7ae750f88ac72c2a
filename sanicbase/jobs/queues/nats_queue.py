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

import time
from collections.abc import Mapping, Sequence

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from sanicbase.brokers.jetstream import ANSWER_TIMEOUT, NatsBroker, nats_errors
from sanicbase.jobs.letter import DeadLetter
from sanicbase.jobs.message import JOB_ID
from sanicbase.jobs.queues.interface import Taken
from sanicbase.jobs.queues.orders import Orders
from sanicbase.jobs.queues.prefetching import PrefetchingQueue

__all__ = ["CONSUMER", "NatsQueue", "delay_of", "job_id_of"]

LEASE = 7  # seconds after which a job whose worker is silent is given to another one
MAX_DEAD = 10_000  # dead letters that a queue keeps
MAX_LETTER = 900_000  # bytes; NATS takes messages of a MiB
KNOWN_SECONDS = 120  # seconds for which a message that is sent again is known
PULL = 5.0  # seconds that the server keeps a request for messages
CONSUMER = "workers"
JOB_ID_HEADER = "Job-Id"
DELAY = "Delay"  # the header with the milliseconds of a delay, counted from when the server got the message


class NatsQueue(PrefetchingQueue[Msg]):
    """One queue of a service. Methods raise OSError and TimeoutError when NATS does not respond. A job that is sent
    again within two minutes is dropped. The end of a run counts even if another worker has the job by now."""

    server = "NATS"

    def __init__(self, broker: NatsBroker, service: str, name: str, orders: Orders) -> None:
        super().__init__(name, orders)
        self._broker = broker
        self._stream = f"{service}-jobs-{name}"
        self._subject = f"{service}.jobs.{name}"
        self._dead_stream = f"{self._stream}-dead"
        self._dead_subject = f"{service}.dead-jobs.{name}"
        self._inbox: Subscription | None = None
        self._client: Client | None = None  # of the inbox
        self._asked = 0  # messages that are on their way, at most
        self._asked_until = 0.0

    async def _renewed(self, entries: Sequence[str]) -> set[str]:
        """Renew the leases of these and of the messages that have arrived. Losses are not detected."""
        with nats_errors():
            client = await self._broker.client()  # that of a message may be closed
            for message in [*self._arrived, *(self._held[entry] for entry in entries if entry in self._held)]:
                await client.publish(message.reply, b"+WPI")
        return set()

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

    async def _request(self, consumer: str, count: int) -> None:
        """Request up to `count` messages, unless some have arrived or a request is open."""
        if self._arrived:
            return
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

    def _remaining(self, message: Msg) -> float:
        return _remaining(message)

    async def _hand_back(self, message: Msg, remaining: float) -> None:
        self._arrived.popleft()  # that of a closed client must not keep the others
        with nats_errors():
            await message.nak(delay=remaining)

    def _taken(self, message: Msg) -> Taken:
        early = 1 if (message.headers or {}).get(DELAY) else 0  # it was handed back once
        times = max(1, message.metadata.num_delivered - early)
        return Taken(str(message.metadata.sequence.stream), _job_id(message), message.data, times)

    async def _add(self, job_id: str, data: bytes, delay: int) -> None:
        await self._publish(self._subject, data, job_id, delay=delay)

    async def _replace(self, taken: Taken, data: bytes, delay: int) -> None:
        await self._publish(self._subject, data, f"{taken.job_id}-{taken.entry}", job_id=taken.job_id, delay=delay)

    async def _bury(self, taken: Taken, letter: bytes) -> None:
        if len(letter) > MAX_LETTER:
            letter = DeadLetter.of(taken.data[: MAX_LETTER // 10], reason="The message is too long.").to_bytes()
        await self._publish(f"{self._dead_subject}.{taken.job_id}", letter, f"{taken.job_id}-{taken.entry}")

    async def _acknowledge(self, message: Msg) -> None:
        with nats_errors():
            # By the current client, because that of the message may be closed.
            await (await self._broker.client()).request(message.reply, b"+ACK", timeout=ANSWER_TIMEOUT)

    async def _publish(self, subject: str, data: bytes, message_id: str, *, job_id: str = "", delay: int = 0) -> None:
        """Add a message to a stream, and wait until the server has it on disk."""
        headers = {"Nats-Msg-Id": message_id, JOB_ID_HEADER: job_id or message_id}
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
    delay = delay_of(message.headers)
    return message.metadata.timestamp.timestamp() + delay / 1000 - time.time() if delay else 0.0


def delay_of(headers: Mapping[str, str] | None) -> int:
    """The milliseconds of a delay, counted from the time of the message."""
    delay = (headers or {}).get(DELAY, "")
    return int(delay) if delay.isdecimal() else 0


def _job_id(message: Msg) -> str:
    return job_id_of(message.headers, message.metadata.sequence.stream)


def job_id_of(headers: Mapping[str, str] | None, sequence: int) -> str:
    """The id of the job, or one from the number of the message if another program has sent it."""
    given = (headers or {}).get(JOB_ID_HEADER, "")
    return given if JOB_ID.fullmatch(given) else f"message-{sequence}"
