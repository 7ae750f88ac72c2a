"""Whatever somebody has put where a cache model keeps its entries is a miss, counted, and told once."""

from __future__ import annotations

import logging

import pytest

from sanicbase import get_redis
from tests.cache.models import AuthorRC
from tests.db.library import Author

GARBAGE = [b"", b"x", b"{}", b"\x00" * 100, b"\xc1\x01" + b"\xff" * 60, b"null", "🐈".encode() * 50, b"\xc1\x02" * 40]


async def entry_key() -> bytes:
    """The key of author 1, once it is stored: a read does not wait for a Redis that is slow."""
    while not (keys := [key async for key in get_redis().scan_iter(match="library:rc:AuthorRC:v:*:k:1")]):
        await AuthorRC.get(1)
    key: bytes = keys[0]
    return key


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_a_miss(shelves: None, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "sanicbase.cache")
    await Author.create(id=1, name="ann")
    await AuthorRC.get_by(name="ann")
    await AuthorRC.get(1)
    for key in [key async for key in get_redis().scan_iter(match="library:rc:AuthorRC:v:*")]:
        await get_redis().set(key, garbage)
    for _ in range(3):
        assert await AuthorRC.get(1) == await AuthorRC.get_by(name="ann") == AuthorRC(id=1, name="ann")
    stats = await AuthorRC.stats()
    assert stats.corrupt >= 2
    assert stats.hits >= 4
    assert len([record for record in caplog.records if "is not an entry of a cache model" in record.message]) <= 2


@pytest.mark.parametrize("cut", [1, 5, 35, 36])
async def test_a_truncated_entry_is_a_miss(shelves: None, cut: int) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    key = await entry_key()
    raw = bytes(await get_redis().get(key) or b"")  # type: ignore[arg-type]
    await get_redis().set(key, raw[:-cut])
    assert await AuthorRC.get(1) == AuthorRC(id=1, name="ann")
    assert (await AuthorRC.stats()).corrupt == 1
    assert await get_redis().strlen(key) == len(raw)


async def test_the_entry_of_another_key_is_not_used_for_a_pointer(shelves: None) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    await AuthorRC.get_by(name="ann")
    (pointer,) = [key async for key in get_redis().scan_iter(match="library:rc:AuthorRC:v:*:name:*")]
    await get_redis().copy((await entry_key()).decode(), pointer.decode(), replace=True)
    assert await AuthorRC.get_by(name="ann") == AuthorRC(id=1, name="ann")


@pytest.mark.parametrize("place", ["epoch", "server", "settling", "members", "AuthorRC:generation"])
@pytest.mark.parametrize("kind", ["list", "text", "hash"])
async def test_foreign_values_under_our_keys_are_tolerated(shelves: None, place: str, kind: str) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    await put(f"library:rc:{place}", kind)
    for name in ("bea", "cleo"):
        await AuthorRC.get(1)
        await Author.filter(id=1).update(name=name)
        assert await AuthorRC.get(1) == AuthorRC(id=1, name=name)


@pytest.mark.parametrize("place", ["c:k:1", "c:*", "l:{shape}:k:1", "v:{shape}:k:1"])
@pytest.mark.parametrize("kind", ["list", "text", "hash"])
async def test_foreign_values_under_entry_keys_are_tolerated(shelves: None, place: str, kind: str) -> None:
    await Author.create(id=1, name="ann")
    await AuthorRC.get(1)
    shape = (await entry_key()).split(b":")[4].decode()
    await put(f"library:rc:AuthorRC:{place.format(shape=shape)}", kind)
    for name in ("bea", "cleo"):
        await AuthorRC.get(1)
        await Author.filter(id=1).update(name=name)
        assert await AuthorRC.get(1) == AuthorRC(id=1, name=name)


async def put(key: str, kind: str) -> None:
    async with get_redis().pipeline(transaction=True) as pipeline:  # in one step, for beats go on
        pipeline.delete(key)
        if kind == "list":
            pipeline.rpush(key, "x")
        elif kind == "hash":
            pipeline.hset(key, "x", "y")
        else:
            pipeline.set(key, "x" * 20)
        await pipeline.execute()
