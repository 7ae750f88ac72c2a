"""A queue of jobs in RabbitMQ, through aio-pika. taskiq-aio-pika neither gives a job back nor counts the workers that
died of it, and keeps short delays behind long ones.

    <service>.jobs.<queue>               the jobs to run: a quorum queue, which counts how often it has given one
    <service>.jobs.<queue>.delay.<ms>    the jobs that wait that long; they expire into the queue of jobs
    <service>.jobs.<queue>.dead          the dead letters

RabbitMQ gives a job back to the queue when the channel of its worker closes, which a kill does at once, and a machine
that is gone after HEARTBEAT. A job that is put back, delayed, or given up is published first, with a confirm, and then
acknowledged: a crash in between leaves two, never none.

There is a queue for each delay, because a queue expires messages only at its head. Delays are rounded down to two
digits, so there are few of these queues, and unused ones are deleted. A worker forwards a job that has some of its
delay left.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from sanicbase.brokers.rabbitmq import RabbitBroker, rabbit_errors
from sanicbase.jobs.queues.interface import Taken
from sanicbase.jobs.queues.orders import Orders
from sanicbase.jobs.queues.prefetching import PrefetchingQueue

__all__ = ["RabbitQueue"]

MAX_DEAD = 10_000  # dead letters that a queue keeps
MAX_DELIVERIES = 1_000_000  # RabbitMQ 4 drops a message after twenty of them; workers give it up before
MAX_HOP = 2_000_000_000  # milliseconds; RabbitMQ expires messages after 32 bits of them at most
MIN_HOP = 10  # milliseconds; a shorter rest of a delay is none
KEPT_UNUSED = 60_000  # milliseconds that a queue of delays exists after its last message has expired
REMAINING = "x-remaining"  # the header with the milliseconds of a delay that are left after this one
ANSWER_TIMEOUT = 5.0  # seconds
QUORUM: dict[str, str | int] = {"x-queue-type": "quorum", "x-delivery-limit": MAX_DELIVERIES}


class RabbitQueue(PrefetchingQueue[AbstractIncomingMessage]):
    """One queue of a service. Methods raise OSError and TimeoutError when RabbitMQ does not respond. A job that is sent
    again is not detected."""

    server = "RabbitMQ"

    def __init__(self, broker: RabbitBroker, service: str, name: str, orders: Orders) -> None:
        super().__init__(name, orders)
        self._broker = broker
        self._main = f"{service}.jobs.{name}"
        self._consuming: AbstractChannel | None = None
        self._prefetch = 1
        self._channels = 0  # so far; a delivery is known by its channel and its number there

    async def _renewed(self, entries: Sequence[str]) -> set[str]:
        """Return the jobs whose channel is closed. The heartbeat of the connection keeps the others."""
        return {entry for entry in entries if entry not in self._held}

    async def lengths(self) -> dict[str, int]:
        """How many jobs are waiting and dead. RabbitMQ counts neither running nor delayed ones by queue."""
        channel = await self._broker.publishing()
        with rabbit_errors():
            main = await _declare(channel, self._main, QUORUM)
            dead = await _declare(channel, self._dead, {**QUORUM, "x-max-length": MAX_DEAD})
        return {
            state: queue.declaration_result.message_count or 0 for state, queue in (("waiting", main), ("dead", dead))
        }

    async def forget_consumer(self, consumer: str) -> None:
        """Put back the jobs that were sent to this worker and have not started, and take no more."""
        channel, self._consuming = self._consuming, None
        if channel is None or channel.is_closed:
            return
        with rabbit_errors():
            queue = await channel.get_queue(self._main, ensure=False)
            await queue.cancel(consumer, timeout=ANSWER_TIMEOUT)
            while self._arrived:  # not by closing the channel, which counts as a death
                message = self._arrived.popleft()
                await self._add(message.message_id or "", message.body, _number(message, REMAINING))
                await self._acknowledge(message)
            await channel.close()

    @property
    def _dead(self) -> str:
        return f"{self._main}.dead"

    async def _request(self, consumer: str, count: int) -> None:
        """Consume on a channel, on which RabbitMQ may send that many. The first call counts."""
        if self._consuming is not None and not self._consuming.is_closed:
            return
        self._lose_all()
        await self._declare(await self._broker.publishing())
        channel = await self._broker.consuming()
        self._channels += 1
        with rabbit_errors():
            channel.close_callbacks.add(partial(self._on_close, self._channels))
            self._prefetch = max(self._prefetch, count)  # while runs continue, a worker asks for less than it has room
            await channel.set_qos(prefetch_count=self._prefetch)
            queue = await channel.get_queue(self._main, ensure=False)
            await queue.consume(
                partial(self._on_message, self._channels), consumer_tag=consumer, timeout=ANSWER_TIMEOUT
            )
        self._consuming = channel

    async def _on_message(self, number: int, message: AbstractIncomingMessage) -> None:
        if number == self._channels:
            self._arrived.append(message)
            self._arrival.set()

    async def _on_close(self, number: int, channel: object, error: BaseException | None) -> None:
        if number == self._channels:
            self._lose_all()

    def _lose_all(self) -> None:
        self._arrived.clear()
        self._held.clear()
        self._arrival.set()

    def _remaining(self, message: AbstractIncomingMessage) -> float:
        return _number(message, REMAINING)

    async def _hand_back(self, message: AbstractIncomingMessage, remaining: float) -> None:
        await self._add(message.message_id or "", message.body, round(remaining))
        await self._acknowledge(message)
        if self._arrived and self._arrived[0] is message:  # the channel was not lost meanwhile
            self._arrived.popleft()

    def _taken(self, message: AbstractIncomingMessage) -> Taken:
        times = _number(message, "x-delivery-count") + 1
        return Taken(f"{self._channels}-{message.delivery_tag}", message.message_id or "", message.body, times)

    async def _replace(self, taken: Taken, data: bytes, delay: int) -> None:
        await self._add(taken.job_id, data, delay)

    async def _bury(self, taken: Taken, letter: bytes) -> None:
        await self._send(self._dead, Message(letter, message_id=taken.job_id))

    async def _add(self, job_id: str, data: bytes, delay: int) -> None:
        """Add a message to the queue, or to that of its delay."""
        message = Message(data, message_id=job_id)
        if delay < MIN_HOP:
            await self._send(self._main, message)
            return
        hop = _hop(delay)
        message.headers[REMAINING] = delay - hop if delay - hop >= MIN_HOP else 0
        channel = await self._broker.publishing()
        with rabbit_errors():
            waiting = await channel.declare_queue(  # each time, which keeps it
                f"{self._main}.delay.{hop}",
                durable=True,
                arguments={
                    "x-message-ttl": hop,
                    "x-expires": hop + KEPT_UNUSED,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": self._main,
                },
                timeout=ANSWER_TIMEOUT,
            )
        await self._send(waiting.name, message)

    async def _send(self, queue: str, message: Message) -> None:
        """Publish a message, and wait until RabbitMQ has it on disk."""
        message.delivery_mode = DeliveryMode.PERSISTENT
        channel = await self._broker.publishing()
        await self._declare(channel)
        with rabbit_errors():
            await channel.default_exchange.publish(message, queue, timeout=ANSWER_TIMEOUT)

    async def _declare(self, channel: AbstractChannel) -> None:
        if self._broker.declared.get(self._main) is channel:
            return
        with rabbit_errors():
            await _declare(channel, self._main, QUORUM)
            await _declare(channel, self._dead, {**QUORUM, "x-max-length": MAX_DEAD})
        self._broker.declared[self._main] = channel

    async def _acknowledge(self, message: AbstractIncomingMessage) -> None:
        if not message.processed:
            with rabbit_errors():
                await message.ack()


async def _declare(channel: AbstractChannel, name: str, arguments: dict[str, str | int]) -> AbstractQueue:
    return await channel.declare_queue(name, durable=True, arguments=dict(arguments), timeout=ANSWER_TIMEOUT)


def _hop(delay: int) -> int:
    """The first two digits of the delay."""
    delay = min(delay, MAX_HOP)
    unit: int = 10 ** max(0, len(str(delay)) - 2)
    return delay // unit * unit


def _number(message: AbstractIncomingMessage, header: str) -> int:
    value = message.headers.get(header)
    return int(value) if isinstance(value, int) else 0
