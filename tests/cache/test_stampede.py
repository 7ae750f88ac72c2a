"""Many readers of one entry: it is loaded once, and again before it expires."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from sanicbase import get_redis
from sanicbase.cache import reader
from sanicbase.cache.entry import Entry, pack_entry, unpack_entry
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.options import fingerprint
from tests.cache.models import AuthorRC
from tests.cache.opening import library
from tests.db.library import Author
from tests.preloaded import preloaded

PROCESSES, GETS = 4, 50


async def test_two_hundred_gets_in_four_processes_are_one_query(db_url: str, redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "queries"
    async with library(db_url, redis_url):
        await Author.create(id=1, name="ann")
    answers = await asyncio.to_thread(started_at_once, [db_url, redis_url, str(log), str(GETS)])
    assert answers == [f"{GETS}\n"] * PROCESSES
    assert log.read_text() == "query\n"


def started_at_once(arguments: list[str]) -> list[str]:
    """What the reading processes say, which begin when all of them are ready."""
    command = preloaded("-m", "tests.cache.reading", *arguments)
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) for _ in range(PROCESSES)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [process.communicate(timeout=30)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def test_a_process_that_dies_while_loading_delays_others_briefly(
    shelves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Author.create(id=1, name="ann")
    monkeypatch.setattr(reader, "LEASE_TIMEOUT", 0.3)
    await AuthorRC.get(2)  # which makes the generation
    shape = fingerprint(AuthorRC)
    seconds, microseconds = await get_redis().time()
    since = seconds * 1000 + microseconds // 1000
    await get_redis().set(f"library:rc:AuthorRC:l:{shape}:k:1", f"dead {since}", px=60_000)
    async with asyncio.timeout(5):
        assert await AuthorRC.get(1) == AuthorRC(id=1, name="ann")
    stats = await AuthorRC.stats()
    assert (stats.waits, stats.fills) == (1, 2)


async def test_a_hot_entry_never_expires(shelves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    loads = 0
    ask = ModelCache._rows_of

    async def slow(self: ModelCache, index: object, keys: object) -> object:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.05)
        return await ask(self, index, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelCache, "_rows_of", slow)
    (key,) = [key async for key in get_redis().scan_iter(match="library:rc:AuthorRC:v:*:k:1")]
    entry = unpack_entry(await get_redis().get(key) or b"")  # type: ignore[arg-type]
    dear = Entry(entry.epoch, entry.generation, time.time() + 1.0, 0.1, entry.payload)
    await get_redis().set(key, pack_entry(dear), px=1000)
    before, reads = await AuthorRC.stats(), 0
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        await AuthorRC.get(1)
        reads += 1
        await asyncio.sleep(0.001)
    after = await AuthorRC.stats()
    assert after.misses == before.misses
    assert loads == 1
    assert after.hits == before.hits + reads
