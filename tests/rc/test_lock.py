"""Locks: one holder at a time, in one process; what happens when one is lost, cancelled or asked for by many."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from math import inf, nan

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from sanicbase import LockLost, LockTaken, NotOpenError, ResourceError, get_redis, lock
from sanicbase.rc import RedisClients
from sanicbase.testing import free_port
from tests.rc.holding import ShopConfig
from tests.ws.restartable import RestartableRedis, restartable_redis

KEY = "shop:lock:rebuild"


@pytest.fixture
async def opened(redis_url: str) -> AsyncIterator[None]:
    async with RedisClients(ShopConfig(REDIS_URL=redis_url), ""):
        yield


@pytest.fixture
async def fragile() -> AsyncIterator[RestartableRedis]:
    """A Redis that can be killed and frozen, open as the service's."""
    with restartable_redis() as server:
        async with RedisClients(ShopConfig(REDIS_URL=server.url, CONNECT_TIMEOUT=0.5), ""):
            yield server


async def until(fact: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await fact():
            await asyncio.sleep(0.005)


async def is_free(name: str = "rebuild") -> bool:
    try:
        async with lock(name, wait=0):
            return True
    except LockTaken:
        return False


async def renewed(before: int) -> bool:
    return await get_redis().pttl(KEY) > before


async def take_over() -> None:
    """Give the lock to somebody else, as after an expiry."""
    await get_redis().set(KEY, "another", px=60_000)


async def hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.usefixtures("opened")
class TestHolding:
    async def test_one_holds_it_and_another_gets_lock_taken_without_waiting(self) -> None:
        async with lock("rebuild") as held:
            assert held.name == "rebuild"
            for wait in (0, 0.05):
                with pytest.raises(LockTaken, match="Another holder has the lock 'rebuild'"):
                    async with lock("rebuild", wait=wait):
                        pytest.fail("two hold it")
            async with lock("another", wait=0), lock("rebuild2", wait=0):
                pass
        assert await is_free()

    async def test_a_lock_held_elsewhere_is_waited_for_or_not(self) -> None:
        await take_over()
        for wait in (0, 0.1):
            with pytest.raises(LockTaken):
                async with lock("rebuild", wait=wait):
                    pytest.fail("two hold it")
        assert await get_redis().get(KEY) == b"another"
        await get_redis().pexpire(KEY, 50)
        async with lock("rebuild", wait=10):
            pass

    @pytest.mark.parametrize("ttl", [0, -1, 0.01, nan, inf, -inf, 86401, 1e300])
    async def test_an_invalid_ttl_is_refused(self, ttl: float) -> None:
        with pytest.raises(ValueError, match=r"`ttl` must be a number of seconds from 0\.1 to 86400"):
            async with lock("rebuild", ttl=ttl):
                pytest.fail("taken")

    @pytest.mark.parametrize("wait", [-1, -0.001, nan, -inf])
    async def test_an_invalid_wait_is_refused(self, wait: float) -> None:
        with pytest.raises(ValueError, match="`wait` must be a number of seconds, 0 or more"):
            async with lock("rebuild", wait=wait):
                pytest.fail("taken")

    async def test_any_text_is_a_name_and_no_two_are_one(self) -> None:
        names = ["", "a", "A", "a:b", "a*", "a\r\nDEL x", "a\0", "🦊", "\ud800", "a" * 100_000, "a" * 100_001, "a:past"]
        names += [" ", "a ", "é", "e\u0301", "~a", "a" * 64, "a" * 65, "%s", "{a}"]
        for name in names:
            async with lock(name, wait=0):
                keys = [key async for key in get_redis().scan_iter(match="*")]
                assert all(key.startswith(b"shop:lock:") and len(key) < 100 for key in keys)
                assert [other for other in names if await is_free(other)] == [one for one in names if one != name]

    async def test_a_renewal_sets_the_life_and_does_not_add_to_it(self) -> None:
        left = []
        async with lock("rebuild", ttl=0.4):
            end = time.monotonic() + 0.8
            while time.monotonic() < end:
                left.append(await get_redis().pttl(KEY))
                await asyncio.sleep(0.005)
        assert 0 < min(left) <= max(left) <= 400
        assert await get_redis().exists(KEY) == 0

    async def test_tokens_grow_also_when_redis_is_emptied_and_the_clock_set_back(self) -> None:
        tokens = [0]
        for number in range(60):
            async with lock("rebuild") as held:
                tokens.append(held.token)
            if number % 5 == 4:
                await get_redis().flushall()
        ahead = tokens[-1] + 10**9  # as if given out before the clock was set back by a quarter of an hour
        async with lock("rebuild"):
            await get_redis().hset(f"{KEY}:past", "token", str(ahead))
        for _ in range(3):
            async with lock("rebuild") as held:
                tokens.append(held.token)
        assert tokens == sorted(set(tokens))
        assert tokens[-3:] == [ahead + 1, ahead + 2, ahead + 3]
        assert tokens[-1] < 2**53

    async def test_two_hundred_tasks_take_turns_and_only_one_of_them_asks(self) -> None:
        inside, most, done = 0, 0, []

        async def work(number: int) -> None:
            nonlocal inside, most
            async with lock("rebuild"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
                done.append(number)

        await take_over()
        tasks = [asyncio.create_task(work(number)) for number in range(200)]
        await until(lambda: get_redis().pubsub_channels(KEY))
        before = int((await get_redis().info("commandstats"))["cmdstat_get"]["calls"])
        await asyncio.sleep(2)  # that they ask seldom is seen in a time only
        gets = int((await get_redis().info("commandstats"))["cmdstat_get"]["calls"]) - before
        assert gets < 20  # of all two hundred, in two seconds
        await get_redis().delete(KEY)
        await get_redis().publish(KEY, "")
        await asyncio.gather(*tasks)
        assert (most, done) == (1, list(range(200)))

    async def test_a_waiter_without_a_notification_polls(self) -> None:
        await take_over()
        waiting = asyncio.create_task(is_taken_in_time())
        await until(lambda: get_redis().pubsub_channels(KEY))
        await get_redis().delete(KEY)
        assert await waiting

    async def test_a_process_that_takes_it_again_and_again_lets_others_in(self, redis_url: str) -> None:
        async def take_again_and_again() -> None:
            while True:
                async with lock("rebuild"):
                    pass

        async with Redis.from_url(redis_url) as other, other.pubsub() as waiter:
            await waiter.subscribe(KEY)
            greedy = asyncio.create_task(take_again_and_again())
            async with asyncio.timeout(10):
                while not await other.set(KEY, "another", nx=True, px=60_000):
                    await waiter.get_message(timeout=1)
            assert await other.get(KEY) == b"another"
            greedy.cancel()
            await asyncio.wait({greedy})

    async def test_it_is_a_decorator_too(self) -> None:
        @lock("rebuild", wait=0)
        async def rebuild() -> bool:
            return await is_free()

        assert [await rebuild(), await rebuild(), await is_free()] == [False, False, True]

    async def test_a_connection_that_is_not_configured_is_named(self) -> None:
        with pytest.raises(NotOpenError, match="No Redis is named 'nope'"):
            async with lock("rebuild", connection="nope"):
                pytest.fail("taken")


async def is_taken_in_time() -> bool:
    async with lock("rebuild", wait=10):
        return True


async def test_outside_of_a_lifespan_there_are_no_locks() -> None:
    with pytest.raises(NotOpenError):
        async with lock("rebuild"):
            pytest.fail("taken")


@pytest.mark.usefixtures("opened")
class TestLosing:
    @pytest.mark.parametrize("loss", ["taken", "emptied"])
    async def test_the_body_is_cancelled_and_its_cancellation_does_not_leak(self, loss: str) -> None:
        cancelled = False
        with pytest.raises(LockLost, match=r"The lock 'rebuild' was lost: it expired"):
            async with lock("rebuild", ttl=0.3):
                await (take_over() if loss == "taken" else get_redis().flushall())
                try:
                    await hang()
                except asyncio.CancelledError:
                    cancelled = True
                    raise
        task = asyncio.current_task()
        assert cancelled
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        assert await get_redis().get(KEY) == (b"another" if loss == "taken" else None)

    async def test_a_loss_that_is_found_out_at_the_end_is_raised(self) -> None:
        with pytest.raises(LockLost):
            async with lock("rebuild"):
                await take_over()
        assert await get_redis().get(KEY) == b"another"

    async def test_a_paused_process_loses_the_lock_even_without_competitors(self) -> None:
        with pytest.raises(LockLost):
            async with lock("rebuild", ttl=0.1):
                time.sleep(0.2)  # noqa: ASYNC251
                await hang()
        with pytest.raises(LockLost):
            async with lock("rebuild", ttl=0.1):
                time.sleep(0.2)  # noqa: ASYNC251

    async def test_an_exception_of_the_body_goes_before_it(self, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(ZeroDivisionError):
            async with lock("rebuild", ttl=0.3):
                await take_over()
                try:
                    await hang()
                finally:
                    raise ZeroDivisionError
        assert "The lock 'rebuild' was lost" in caplog.text
        with pytest.raises(ZeroDivisionError):
            async with lock("another"):
                raise ZeroDivisionError

    async def test_a_cancellation_from_outside_is_one(self, caplog: pytest.LogCaptureFixture) -> None:
        async def work() -> None:
            async with lock("rebuild", ttl=0.3):
                await take_over()
                try:
                    await hang()
                except asyncio.CancelledError:
                    while task.cancelling() < 2:
                        with suppress(asyncio.CancelledError):
                            await asyncio.sleep(0.001)
                    raise

        task = asyncio.create_task(work())
        await until(lambda: asyncio.sleep(0, task.cancelling()))
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        assert "The lock 'rebuild' was lost" in caplog.text

    async def test_a_block_that_ignores_the_cancellation_raises_at_its_end(self) -> None:
        with pytest.raises(LockLost):
            async with lock("rebuild", ttl=0.3):
                await take_over()
                with suppress(asyncio.CancelledError):
                    await hang()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)

    async def test_timeouts_inside_and_outside_keep_their_meaning(self) -> None:
        async with lock("rebuild"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await hang()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), lock("rebuild"):
                await hang()
        with pytest.raises(LockLost):
            async with asyncio.timeout(10), lock("rebuild", ttl=0.3), asyncio.timeout(10):
                await take_over()
                await hang()

    async def test_of_two_locks_the_lost_one_is_named(self) -> None:
        with pytest.raises(LockLost, match="'rebuild'"):
            async with lock("another", ttl=0.3), lock("rebuild", ttl=0.3):
                await take_over()
                await hang()
        await get_redis().delete(KEY)
        with pytest.raises(LockLost, match="'rebuild'"):
            async with lock("rebuild", ttl=0.3), lock("another", ttl=0.3):
                await take_over()
                await hang()
        assert await is_free("another")


@pytest.mark.usefixtures("opened")
class TestCancelling:
    async def test_at_any_moment_leaves_nothing_held(self) -> None:
        chance = random.Random(3)

        async def use() -> None:
            async with lock("rebuild", ttl=30):
                await asyncio.sleep(chance.choice([0, 0.001]))

        for number in range(250):
            users = [asyncio.create_task(use()) for _ in range(1 + number % 3)]
            for _ in range(number % 60):
                await asyncio.sleep(0)
            await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001]))
            for user in users:
                user.cancel()
            done, pending = await asyncio.wait(users, timeout=5)
            assert not pending
            assert all(one.cancelled() or one.exception() is None for one in done)
            assert await get_redis().exists(KEY) == 0
        assert await is_free()
        assert asyncio.all_tasks() - {asyncio.current_task()} == await only_the_subscriber()

    async def test_while_waiting_for_another_process(self) -> None:
        await take_over()
        for number in range(60):
            waiting = asyncio.create_task(is_free_after_waiting())
            for _ in range(number):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=5)
            assert waiting.cancelled()
        await until(no_channel)
        await get_redis().delete(KEY)
        assert await is_free()

    async def test_twice_does_not_interrupt_the_release(self) -> None:
        holding = asyncio.create_task(hold_for_ever())
        await until(lambda: get_redis().exists(KEY))
        for _ in range(5):
            holding.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({holding}, timeout=5)
        assert holding.cancelled()
        assert await get_redis().exists(KEY) == 0


async def is_free_after_waiting() -> None:
    async with lock("rebuild"):
        pytest.fail("two hold it")


async def hold_for_ever() -> None:
    async with lock("rebuild", ttl=30):
        await hang()


async def no_channel() -> bool:
    return not await get_redis().pubsub_channels(KEY)


async def only_the_subscriber() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if "Subscriber" in repr(task.get_coro())}


class TestOutages:
    async def test_a_redis_that_starts_again_has_forgotten_the_lock(self, fragile: RestartableRedis) -> None:
        with pytest.raises(LockLost):
            async with lock("rebuild", ttl=3) as held:
                fragile.kill()
                await asyncio.to_thread(fragile.start)
                await hang()
        async with lock("rebuild") as later:
            assert later.token > held.token

    async def test_a_redis_that_stays_away_costs_the_lock_after_its_ttl(
        self, fragile: RestartableRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(LockLost, match="Redis did not answer for 1 seconds"):
            async with lock("rebuild", ttl=1):
                fragile.kill()
                await hang()
        assert "could not be released" in caplog.text

    async def test_a_frozen_redis_costs_the_lock_only_if_it_lasts(self, fragile: RestartableRedis) -> None:
        async with lock("rebuild", ttl=3):
            with fragile.frozen():
                await asyncio.sleep(1)  # a third of its time: it is due to be renewed
            before = await get_redis().pttl(KEY)
            await until(partial(renewed, before))
        with pytest.raises(LockLost):
            async with lock("rebuild", ttl=0.5):
                with fragile.frozen():
                    await hang()
        await until(is_free)

    async def test_a_block_that_ends_in_time_is_no_loss_though_redis_is_away(
        self, fragile: RestartableRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with lock("rebuild", ttl=30):
            fragile.kill()
        assert "The lock 'rebuild' could not be released" in caplog.text
        assert "It expires within 30 seconds." in caplog.text

    async def test_a_cancellation_waits_for_a_frozen_redis_with_an_end(
        self, fragile: RestartableRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        holding, waiting = asyncio.create_task(hold_for_ever()), asyncio.create_task(is_free_after_waiting())
        await until(lambda: get_redis().exists(KEY))
        with fragile.frozen():
            holding.cancel()
            waiting.cancel()
            await asyncio.wait({holding, waiting}, timeout=10)
        assert (holding.cancelled(), waiting.cancelled()) == (True, True)
        assert "could not be released" in caplog.text

    async def test_without_a_redis_the_wait_has_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(import_module("sanicbase.rc.lock"), "ANSWER_TIMEOUT", 0.3)
        async with RedisClients(ShopConfig(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"), ""):
            for wait in (0, 0.3):
                with pytest.raises(ResourceError, match="the lock 'rebuild' was not acquired"):
                    async with lock("rebuild", wait=wait):
                        pytest.fail("taken")

    async def test_a_waiter_outlasts_an_outage(self, fragile: RestartableRedis) -> None:
        await take_over()
        waiting = asyncio.create_task(is_taken_in_time())
        await until(lambda: get_redis().pubsub_channels(KEY))
        fragile.kill()
        with pytest.raises(RedisError):
            await get_redis().ping()
        await asyncio.to_thread(fragile.start)
        assert await waiting

    async def test_a_release_whose_answer_is_lost_is_no_loss(self, fragile: RestartableRedis) -> None:
        """The client asks again on another connection, and the lock is gone by then."""
        async with lock("rebuild"), Redis.from_url(fragile.url) as other:
            holder = await other.get(KEY)
            await other.delete(KEY)
            await other.hset(f"{KEY}:past", "released", holder or b"")
        assert await is_free()
