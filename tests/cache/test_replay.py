"""Ways through the protocol's machine, gone by the real code: the machine is what is there."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import pytest

from sanicbase import get_redis
from sanicbase.cache import epoch, reader
from tests.cache.gated import LIFE, GatedReplay
from tests.cache.protocol import Limits, Rules, State, follow, sample, walk
from tests.cache.replaying import KEY, Replay
from tests.rc.conftest import Opened

WAYS = int(os.environ.get("SANICBASE_TEST_WAYS", "20"))  # long ones
EACH = WAYS > 20  # with more of them, each kind of step has a way of its own
LENGTH = 60  # steps of a long way
SHORT = Limits(crashes=1, flushes=1, outages=0, stalls=0)
NO_CRASH = SHORT._replace(crashes=0)
STALLED = NO_CRASH._replace(flushes=0, stalls=1)
LATE = NO_CRASH._replace(flushes=0, delays=1)
KILLED = NO_CRASH._replace(kills=1)
LONG = Limits(crashes=2, flushes=2, outages=2, stalls=2, delays=2, deafness=1, kills=1)

Way = Iterable[tuple[State, str, State]]


async def go(path: Way, replay: Replay | GatedReplay) -> int:
    """Go a way that has begun; how many steps it has."""
    gone: list[str] = []
    for before, name, after in path:
        gone.append(name)
        try:
            await replay.take(before, name, after)
        except (AssertionError, TimeoutError) as exc:
            raise AssertionError(f"{' / '.join(gone)} comes to another state than {after}") from exc
    return len(gone)


async def go_by_scripts(path: Way, closes: tuple[str, ...]) -> int:
    await get_redis().flushdb()
    replay = Replay(get_redis(), closes)
    await replay.begin()
    return await go(path, replay)


async def go_by_the_library(path: Way) -> int:
    await get_redis().flushdb()
    async with GatedReplay() as replay:
        return await go(path, replay)


@pytest.mark.parametrize(
    ("closes", "limits", "least"),
    [
        pytest.param((KEY, KEY), SHORT, 2000, id="key"),
        pytest.param((KEY, "*"), LATE, 500, id="late", marks=pytest.mark.long),
        pytest.param((KEY, KEY), KILLED, 2000, id="killed", marks=pytest.mark.long),
        pytest.param((KEY, "*"), NO_CRASH, 2000, id="key and class", marks=pytest.mark.long),
        pytest.param(("*", "*"), NO_CRASH, 2000, id="class", marks=pytest.mark.long),
    ],
)
async def test_the_scripts_do_what_the_machine_does(
    opened: Opened, redis_url: str, closes: tuple[str, ...], limits: Limits, least: int
) -> None:
    """Each kind of step in each kind of situation, and some long ways."""
    paths = sample(Rules(), limits, random.Random(7), each=EACH)
    async with opened(redis_url):
        steps = [await go_by_scripts(follow(Rules(), limits, path), closes) for path in paths]
        for seed in range(WAYS):
            await go_by_scripts(walk(Rules(), LONG, random.Random(seed), LENGTH), closes)
    assert sum(steps) > least


@pytest.mark.parametrize(
    "limits", [pytest.param(NO_CRASH, id="emptied"), pytest.param(STALLED, id="stalled", marks=pytest.mark.long)]
)
async def test_readers_and_writers_do_what_the_machine_does(
    opened: Opened, redis_url: str, monkeypatch: pytest.MonkeyPatch, limits: Limits
) -> None:
    monkeypatch.setattr(epoch, "EPOCH_TTL", LIFE)
    monkeypatch.setattr(reader, "LEASE_TIMEOUT", 0.0)  # a lease may be taken over at once
    paths = sample(Rules(), limits, random.Random(7), each=EACH)
    async with opened(redis_url):
        steps = [await go_by_the_library(follow(Rules(), limits, path)) for path in paths]
    assert sum(steps) > 1000
