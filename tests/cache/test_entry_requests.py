"""The reads of one turn as one MGET: bounded, and each read as fresh and as safe as if it were alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tortoise.connection import get_connection

from sanicbase import NotOpenError, get_redis
from sanicbase.cache.entry_requests import MAX_IN_FLIGHT, EntryRequests
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.pending_reads import PendingRead, Reads
from sanicbase.cache.reader import Reader
from tests.cache.models import AuthorRC, BookRC, TallyRC
from tests.cache.opening import commands
from tests.db.library import Author, Book, Tally


def opened(cls: Any) -> ModelCache:
    """The open cache of a class."""
    model_cache = cls._opened
    assert isinstance(model_cache, ModelCache)
    return model_cache


async def test_reads_of_several_classes_in_one_turn_are_one_request(shelves: None, redis_url: str) -> None:
    author = await Author.create(name="ann")
    book = await Book.create(slug="one", title="One", author=author)
    await Tally.create(name="t", n=1)
    reads: list[Callable[[], Any]] = [
        lambda: AuthorRC.get(author.id),
        lambda: BookRC.get(book.id),
        lambda: AuthorRC.get(999),
        lambda: TallyRC.get_many(["t", "none"]),
        lambda: BookRC.get(book.id),
    ]
    first = await asyncio.gather(*(read() for read in reads))
    async with commands(redis_url) as sent:
        assert await asyncio.gather(*(read() for read in reads)) == first
    assert sent == ["MGET"]


async def test_a_request_is_bounded(shelves: None, redis_url: str) -> None:
    await Author.bulk_create([Author(name=f"a{n}") for n in range(250)])
    await Tally.bulk_create([Tally(name=f"t{n}", n=n) for n in range(90)])
    keys, names = [author.id for author in await Author.all()], [f"t{n}" for n in range(90)]
    for _ in range(2):  # the second time everything is cached, and the size of an entry is known
        async with commands(redis_url) as sent:
            authors, tallies = await asyncio.gather(AuthorRC.get_many(keys), TallyRC.get_many(names))
    assert [author and author.id for author in authors] == keys
    assert [tally and tally.name for tally in tallies] == names
    assert sent == ["MGET"] * 4


class Recorder:
    """A reader without a Redis, and what is sent for it."""

    generation_name = "generation"
    entry_prefix = "v:"

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.answered: list[str] = []
        self.bypassed: list[str] = []
        self.sent: list[Callable[[Any], None]] = []
        self.epoch: bytes | None = b"epoch"

    def take_pending(self) -> Iterator[tuple[Reads[Any], float]]:
        for part in range(self.parts):
            yield {f"{part}": PendingRead((part,), [])}, 1.0

    def answer(self, reads: Reads[Any], raws: list[Any], epoch: bytes, generation: bytes | None) -> None:
        self.answered += reads

    def bypass(self, reads: Reads[Any]) -> None:
        self.bypassed += reads

    def send(self, command: bytes, answered: Callable[[Any], None]) -> None:
        self.sent.append(answered)


async def scheduled(parts: int) -> Recorder:
    recorder = Recorder(parts)
    requests = EntryRequests("epoch", lambda: recorder.epoch, recorder.send, lambda: None)
    requests.schedule(recorder)
    await asyncio.sleep(0)
    return recorder


async def test_a_burst_leaves_redis_time_for_others() -> None:
    recorder = await scheduled(10)
    assert len(recorder.sent) == MAX_IN_FLIGHT
    for number, answered in enumerate(recorder.sent, start=1):
        answered([b"epoch", b"g", None])
        assert len(recorder.sent) == min(10, MAX_IN_FLIGHT + number)
    assert recorder.answered == [str(part) for part in range(10)]


async def test_requests_that_wait_do_not_wait_for_a_redis_that_is_away() -> None:
    recorder = await scheduled(10)
    recorder.epoch = None
    recorder.sent[0](None)
    assert len(recorder.sent) == MAX_IN_FLIGHT
    assert recorder.bypassed == ["0", *map(str, range(MAX_IN_FLIGHT, 10))]


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_cancelled_caller_does_not_affect_others(shelves: None, cancelled: int) -> None:
    await Author.bulk_create([Author(id=n, name=f"a{n}") for n in (1, 2)])
    for _ in range(2):  # loaded, and from Redis
        tasks = [asyncio.create_task(AuthorRC.get(key)) for key in (1, 1, 2)]
        await asyncio.sleep(0)
        tasks[cancelled].cancel()
        entries = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(entries.pop(cancelled), asyncio.CancelledError)
        assert [getattr(entry, "id", None) for entry in entries] == [
            key for index, key in enumerate((1, 1, 2)) if index != cancelled
        ]


async def test_an_unreadable_entry_does_not_affect_others(shelves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    await Author.bulk_create([Author(id=n, name=f"a{n}") for n in (1, 2)])
    await AuthorRC.get_many([1, 2])
    unpack = opened(AuthorRC).entries._unpack

    def failing(raw: bytes) -> Any:
        if b"a1" in raw:
            raise ArithmeticError("as a validator may")
        return unpack(raw)

    monkeypatch.setattr(opened(AuthorRC).entries, "_unpack", failing)
    assert await AuthorRC.get_many([1, 2]) == [AuthorRC(id=1, name="a1"), AuthorRC(id=2, name="a2")]
    assert opened(AuthorRC).stats.corrupt == 1


@pytest.mark.parametrize("first", ["get", "get_many"])
async def test_many_keys_are_read_beside_single_ones(shelves: None, redis_url: str, first: str) -> None:
    await Author.bulk_create([Author(id=n, name=f"a{n}") for n in range(1, 6)])
    expected = [AuthorRC(id=n, name=f"a{n}") for n in (3, 1, 3, 2)]
    for found in range(3):  # loaded, and then from Redis
        reads = [AuthorRC.get(3), AuthorRC.get_many([3, 1, 3, 2]), AuthorRC.get_many([1, 9])]
        if first == "get_many":
            reads.reverse()
        async with commands(redis_url) as sent:
            results = await asyncio.gather(*reads)
        if first == "get_many":
            results.reverse()
        assert results == [expected[0], expected, [expected[1], None]]
        assert sent == ["MGET"] or not found


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
async def test_many_reads_that_are_cancelled_leave_nothing_behind(
    shelves: None, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever their request is; a failed load that nobody awaits is not reported as an error of the event loop."""
    await get_connection("default").execute_script("ALTER TABLE author RENAME TO away")
    held = hold(opened(AuthorRC)._epoch_client.entry_requests)
    reading = asyncio.create_task(AuthorRC.get_many([1, 2]))
    while not held:
        await asyncio.sleep(0)
    if turns > 1:
        held.pop()()
        for _ in range(turns - 2):
            await asyncio.sleep(0)
    reading.cancel()
    if turns == 1:
        held.pop()()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.gather(*opened(AuthorRC).entries._tasks, return_exceptions=True)
    await get_connection("default").execute_script("ALTER TABLE away RENAME TO author")
    await Author.create(id=1, name="a1")
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_callers_with_a_pending_request_at_the_end_get_an_error(shelves: None) -> None:
    held = hold(opened(AuthorRC)._epoch_client.entry_requests)
    reading = asyncio.create_task(AuthorRC.get(1))
    while not held:
        await asyncio.sleep(0)
    await opened(AuthorRC).close()
    held.pop()()
    with pytest.raises(NotOpenError, match="closed during this read"):
        await reading


def hold(requests: EntryRequests) -> list[Callable[[], None]]:
    """Keep back what Redis answers to readers; each of the list lets one answer come."""
    held_requests: list[Callable[[], None]] = []
    send = requests._send

    def holding(command: bytes, answered: Callable[[Any], None]) -> None:
        send(command, lambda answer: held_requests.append(lambda: answered(answer)))

    requests._send = holding
    return held_requests


class Joining(Reader[Any]):
    """The control: a read joins one whose request is already on its way."""

    def take_pending(self) -> Iterator[tuple[Reads[Any], float]]:
        yield self._pending, 0.1


@pytest.mark.parametrize(
    ("joins", "name"), [pytest.param(False, "bea", id="ours"), pytest.param(True, "ann", id="a control")]
)
async def test_a_read_does_not_join_a_request_from_before_a_write(shelves: None, joins: bool, name: str) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    if joins:
        opened(AuthorRC).entries.__class__ = Joining
    held = hold(opened(AuthorRC)._epoch_client.entry_requests)
    before = asyncio.create_task(AuthorRC.get(1))
    while not held:
        await asyncio.sleep(0)
    await Author.filter(id=1).update(name="bea")
    after = asyncio.create_task(AuthorRC.get(1))
    await asyncio.sleep(0)
    while not after.done():
        while held:
            held.pop(0)()
        await asyncio.sleep(0.001)
    assert (await before) == AuthorRC(id=1, name="ann")
    assert (await after) == AuthorRC(id=1, name=name)
    assert await get_redis().exists("library:rc:epoch")
