"""What many tasks write at once is all there, and each reads what it asked for."""

from __future__ import annotations

import asyncio
import random

from tortoise.expressions import F

from tests.db.ledger import Account, Owner
from tests.db.opening import Store, opened

TASKS, STEPS = 50, 200


async def test_fifty_tasks_lose_no_update(store: Store) -> None:
    async with opened(store, "tests.db.ledger", DB_ACQUIRE_TIMEOUT=60):
        owner = await Owner.create(id=1, email="o")
        await Account.bulk_create([Account(id=number, owner=owner, kind=str(number)) for number in range(1, TASKS + 1)])
        shared = await Account.create(id=TASKS + 1, owner=owner, kind="shared")

        async def work(number: int) -> int:
            chance = random.Random(number)
            shares = 0
            for _ in range(STEPS // 2):
                mine = number if chance.random() < 0.9 else shared.id
                await Account.filter(id=mine).update(n=F("n") + 1)
                shares += mine == shared.id
                (read,) = await Account.filter(id=number).values("id", "kind", "n")
                assert (read["id"], read["kind"]) == (number, str(number))
            assert read["n"] == STEPS // 2 - shares
            return shares

        async with asyncio.timeout(110):
            shares = await asyncio.gather(*map(work, range(1, TASKS + 1)))
        assert (await Account.get(id=shared.id)).n == sum(shares)
        assert sum(await Account.all().values_list("n", flat=True)) == TASKS * STEPS // 2  # type: ignore[arg-type]
