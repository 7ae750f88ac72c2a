"""Every way to write an item, each in one transaction with its version and its history."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tortoise.connection import get_connection

from benchmarks.coherence.caches import Cache
from benchmarks.coherence.shelf import CODES, KEYS, SLUGS, CachedItem, Counter, History, Item, Owner
from sanicbase.db import transaction
from sanicbase.db.raw_writes import raw_write

__all__ = ["Undone", "Writer"]

UNDONE = 0.1  # of the transactions
PAST_THE_MODEL = 0.1  # of the writes of a steady process
SLOW = 0.004  # of the transactions; they outlast what is closed

Done = tuple[int, int, str]  # key, version, token


class Undone(Exception):
    """A transaction that was to be rolled back."""


class Writer:
    """Writes in one process. `strange` are the keys whose writer did not see its own write."""

    def __init__(self, cache: Cache, *, steady: bool, name: str) -> None:
        self._cache = cache
        self._steady = steady
        self._name = name
        self._numbers = itertools.count()
        self.strange: list[int] = []

    async def write(self, began: float) -> list[Done]:
        """Write one or two keys in one transaction, and return what they are then."""
        if self._steady and random.random() < PAST_THE_MODEL:
            return await self._write_past_the_model(random.choice(KEYS), began)
        keys = sorted(random.sample(KEYS, random.choice((1, 1, 1, 2))))
        versions = await self._write_all(keys, began)
        for key in keys:
            await self._cache.written(key, SLUGS[key])
        return versions

    async def _write_all(self, keys: list[int], began: float) -> list[Done]:
        undone, slow = random.random() < UNDONE, random.random() < SLOW
        async with transaction():
            versions = [await self._write_one(key, began) for key in keys]
            if slow:
                await asyncio.sleep(random.uniform(0.5, 4))
            if undone:
                raise Undone
        return versions

    async def _write_one(self, key: int, began: float) -> Done:
        version = await _next_version(key)
        row = await _row_now(key)
        slug: str | None = random.choice(SLUGS[key]) if random.random() < 0.3 or row is None else row.slug
        if row is None:
            create = random.choice(CREATING)
            token = self._token(create)
            await create(key, slug or "", version, token)
        elif random.random() < 0.15:
            slug, delete = None, random.choice(DELETING)
            token = self._token(delete)
            await delete(row)
        else:
            update = random.choice(UPDATING)
            token = self._token(update)
            await update(row, slug or "", version, token)
        await _note(key, version, slug, token, began, past_the_model=False)
        if random.random() < 0.2:
            await self._check_own(key, slug, token)
        return key, version, token

    def _token(self, write: Callable[..., Awaitable[None]]) -> str:
        return f"{self._name}-{next(self._numbers)}{write.__name__}"

    async def _check_own(self, key: int, slug: str | None, token: str) -> None:
        entry = await CachedItem.get(key) if slug is None else await CachedItem.get_by(slug=slug)
        if (None if entry is None else entry.token) != (None if slug is None else token):
            self.strange.append(key)

    async def _write_past_the_model(self, key: int, began: float) -> list[Done]:
        async with transaction():
            version, token = await _next_version(key), f"{self._name}-{next(self._numbers)}"
            row = await _row_now(key)
            if row is not None:
                await get_connection("default").execute_query(_statement(key, row.slug, version, token))
            slug = None if row is None else row.slug
            await _note(key, version, slug, token, began, past_the_model=True)
        await self._cache.invalidate(key, everything=random.random() < 0.1)
        return [(key, version, token)]


async def _row_now(key: int) -> Item | None:
    return await Item.filter(id=key).select_for_update().first()  # MySQL would show the row of an earlier moment


async def _next_version(key: int) -> int:
    counter = await Counter.filter(id=key).select_for_update().get()
    counter.version += 1
    await counter.save()
    return counter.version


async def _note(key: int, version: int, slug: str | None, token: str, began: float, *, past_the_model: bool) -> None:
    await History.create(key=key, version=version, slug=slug, token=token, began=began, past_the_model=past_the_model)


def _statement(key: int, slug: str, version: int, token: str) -> str:
    values = f"version = {version}, token = '{token}', slug = '{slug}', code = '{CODES[slug]}'"
    return f"UPDATE item SET {values} WHERE id = {key}"


async def _new(key: int, slug: str, version: int, token: str) -> dict[str, Any]:
    owner, _ = await Owner.get_or_create(id=key)
    return {"id": key, "slug": slug, "code": CODES[slug], "version": version, "token": token, "owner": owner}


def _changed(slug: str, token: str) -> dict[str, Any]:
    """Without the version, which the row counts by itself."""
    return {"slug": slug, "code": CODES[slug], "token": token}


async def _create_by_cache(key: int, slug: str, version: int, token: str) -> None:
    await CachedItem.create(**await _new(key, slug, version, token))


async def _create_plainly(key: int, slug: str, version: int, token: str) -> None:
    await Item.create(**await _new(key, slug, version, token))


async def _create_in_bulk(key: int, slug: str, version: int, token: str) -> None:
    await Item.bulk_create([Item(**await _new(key, slug, version, token))])


async def _create_upserting(key: int, slug: str, version: int, token: str) -> None:
    new = await _new(key, slug, version, token)
    if get_connection("default").capabilities.dialect == "mysql":  # which cannot tell id from slug there
        # Not get_or_create, which may be answered by a row of the transaction's snapshot that is gone.
        await Item.update_or_create(new, id=new.pop("id"))
    else:
        await Item.upsert(new, on=["id"], update=["slug", "code", "token"])


async def _update_by_cache(row: Item, slug: str, version: int, token: str) -> None:
    await CachedItem.update(row.id, **_changed(slug, token))


async def _save_entry(row: Item, slug: str, version: int, token: str) -> None:
    entry = await CachedItem.get_or_fail(row.id)
    await entry.model_copy(update=_changed(slug, token)).save()


async def _save_entry_of_ones_own(row: Item, slug: str, version: int, token: str) -> None:
    values = {"id": row.id, "owner_id": row.owner_id, "version": row.version, **_changed(slug, token)}
    await CachedItem(**values).save()


async def _save_row(row: Item, slug: str, version: int, token: str) -> None:
    await row.update_from_dict(_changed(slug, token)).save()


async def _save_converted(row: Item, slug: str, version: int, token: str) -> None:
    row.slug, row.token = slug, token
    row.code = str(CODES[slug])  # type: ignore[assignment]  # a text, which the field converts
    await row.save()


async def _update_by_query(row: Item, slug: str, version: int, token: str) -> None:
    await Item.filter(slug=row.slug).update(**_changed(slug, token))


async def _update_by_relation(row: Item, slug: str, version: int, token: str) -> None:
    owner = await Owner.get(id=row.owner_id)
    await Item.filter(owner=owner).update(owner=owner, **_changed(slug, token))


async def _update_in_bulk(row: Item, slug: str, version: int, token: str) -> None:
    row.update_from_dict(_changed(slug, token))
    await Item.bulk_update([row], ["slug", "code", "token"])


async def _update_upserting(row: Item, slug: str, version: int, token: str) -> None:
    if get_connection("default").capabilities.dialect == "mysql":
        await Item.update_or_create(_changed(slug, token), id=row.id)
    else:
        new = await _new(row.id, slug, version, token)
        await Item.upsert(new, on=["id"], update=["slug", "code", "token"])


async def _update_any_row(row: Item, slug: str, version: int, token: str) -> None:
    async with raw_write(Item) as connection:
        await connection.execute_query(_statement(row.id, slug, version, token))


async def _update_after_a_cancelled_raw_write(row: Item, slug: str, version: int, token: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(random.uniform(0, 0.02)):
            await _update_any_row(row, slug, version, f"{token}-raw")
    await Item.filter(id=row.id).update(version=version, **_changed(slug, token))


async def _delete_by_cache(row: Item) -> None:
    await CachedItem.delete(row.id)


async def _delete_row(row: Item) -> None:
    await row.delete()


async def _delete_by_query(row: Item) -> None:
    await Item.filter(slug=row.slug).delete()


async def _delete_with_owner(row: Item) -> None:
    await Owner.filter(id=row.owner_id).delete()


CREATING: list[Callable[[int, str, int, str], Awaitable[None]]] = [
    _create_by_cache,
    _create_plainly,
    _create_in_bulk,
    _create_upserting,
]
UPDATING: list[Callable[[Item, str, int, str], Awaitable[None]]] = [
    _update_by_cache,
    _save_entry,
    _save_entry_of_ones_own,
    _save_row,
    _save_converted,
    _update_by_query,
    _update_by_relation,
    _update_in_bulk,
    _update_upserting,
] * 3
UPDATING += [_update_any_row, _update_after_a_cancelled_raw_write]  # which close all for as long as they take
DELETING: list[Callable[[Item], Awaitable[None]]] = [_delete_by_cache, _delete_row, _delete_by_query] * 3
DELETING.append(_delete_with_owner)  # which closes all, too
