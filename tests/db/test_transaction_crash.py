"""A process that is killed between the commit and the effects, or at any other moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from sanicbase.db import transaction
from tests.db.crashing import SHARED
from tests.db.library import Tally
from tests.db.opening import STORES, Store, opened
from tests.preloaded import preloaded

KILLS = int(os.environ.get("SANICBASE_TEST_KILLS", "12"))
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.parametrize(
    "store", [store for store in STORES if store.values != ("asyncmy",)], indirect=True
)


@pytest.fixture
async def shared(store: Store) -> Store:
    """The store, with its tables and the row that everybody writes."""
    async with opened(store, "tests.db.library"):
        await Tally.create(name=SHARED)
    return store


async def crashing(what: str, store: Store, trace: Path, **options: int) -> int:
    """Run the process that is killed, to its end; how it ended."""
    args = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    program = ("-m", "tests.db.crashing", what, store.kind, store.url, str(trace), *args)
    # What kills itself is the process that is waited for; what kills others may begin with everything imported.
    command = preloaded(*program) if what == "stream" else [sys.executable, *program]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        async with asyncio.timeout(110):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_killed_between_commit_and_effects(shared: Store, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert await crashing("after-commit", shared, trace) == -signal.SIGKILL
    assert not trace.exists()
    async with opened(shared, "tests.db.library", DB_STATEMENT_TIMEOUT=5):
        async with transaction():  # nothing is in its way
            await Tally.update_by_pk(SHARED, n=7)
            await Tally.update_by_pk("a", n=7)
            await Tally.create(name="b")
        assert {row.name: row.n for row in await Tally.all()} == {"a": 7, "a-second": 0, "b": 0, SHARED: 7}


async def test_killed_at_any_moment_an_effect_has_its_row(shared: Store, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert await crashing("stream", shared, trace, kills=KILLS, seed=KILLS) == 0
    traces = trace.read_text().split()
    async with opened(shared, "tests.db.library", DB_STATEMENT_TIMEOUT=5):
        await Tally.create(name="after")  # and the last one's transaction is gone, or waited for
        async with transaction():
            written = (await Tally.filter(name=SHARED).select_for_update().get()).n
        names = {row.name for row in await Tally.all()} - {SHARED, "after"}
    whole = {name for name in names if not name.endswith("-second")}
    assert names == whole | {f"{name}-second" for name in whole}
    assert len(traces) == len(set(traces)) >= KILLS
    assert set(traces) <= whole
    assert len(whole) == written <= len(traces) + KILLS
