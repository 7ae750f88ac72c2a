"""Sessions: a refresh token is used once, and what has ended stays ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sanicbase import InvalidCredentials, ResourceError, Tokens, get_redis, lifespan
from sanicbase.auth.sessions import MAX_SESSIONS
from tests.auth import forging
from xi_test.config import XiTestConfig


@pytest.fixture
async def tokens(redis_url: str, tmp_path: Path) -> AsyncIterator[Tokens]:
    config = configured(redis_url, tmp_path)
    async with lifespan(config):
        yield Tokens(config)


def configured(redis_url: str, folder: Path, **settings: Any) -> XiTestConfig:
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": redis_url}
    return XiTestConfig(**{"JWT_SECRET": forging.SECRET, **stores, **settings})


async def is_valid(tokens: Tokens, access_token: str) -> bool:
    try:
        return (await tokens.verify(access_token)).subject == "7"
    except InvalidCredentials:
        return False


async def test_each_refresh_token_is_used_once(tokens: Tokens) -> None:
    first = await tokens.sign_in(7)
    second = await tokens.refresh(first.refresh_token)
    third = await tokens.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert await is_valid(tokens, third.access_token)


async def test_reuse_of_an_old_token_ends_the_session(tokens: Tokens) -> None:
    first, other = await tokens.sign_in(7), await tokens.sign_in(7)
    second = await tokens.refresh(first.refresh_token)
    with pytest.raises(InvalidCredentials, match="not valid"):
        await tokens.refresh(first.refresh_token)
    with pytest.raises(InvalidCredentials):
        await tokens.refresh(second.refresh_token)
    assert not await is_valid(tokens, second.access_token)
    assert await is_valid(tokens, other.access_token)


async def test_of_concurrent_refreshes_exactly_one_succeeds(tokens: Tokens) -> None:
    pair = await tokens.sign_in(7)
    results = await asyncio.gather(*(tokens.refresh(pair.refresh_token) for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert all(isinstance(result, InvalidCredentials) for result in results if isinstance(result, BaseException))


async def test_a_request_that_the_client_of_redis_repeats_is_the_same_refresh(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await tokens.sign_in(7)
    redis = get_redis()
    sent = redis.eval

    async def twice(*args: Any) -> Any:
        await sent(*args)  # the answer of the first was lost
        return await sent(*args)

    monkeypatch.setattr(redis, "eval", twice)
    following = await tokens.refresh(pair.refresh_token)
    monkeypatch.undo()
    assert await is_valid(tokens, (await tokens.refresh(following.refresh_token)).access_token)


async def test_nobody_ends_the_session_of_another_with_a_token_that_was_never_issued(tokens: Tokens) -> None:
    pair = await tokens.sign_in(7)
    session, family, token = pair.refresh_token.split(".")
    stranger = await tokens.sign_in(8)
    forged = [
        "",
        session,
        f"{session}.{'a' * 22}.{'b' * 43}",
        f"{session}.{'a' * 22}.{token}",
        f"{family}.{session}.{token}",
        f"{session}.{family}.{token}.x",
        f"{session}.{family}.{token} ",
        f"{session}.{family}.{token}\n",
        f"{session}.*.{token}",
        pair.access_token,
        stranger.refresh_token.partition(".")[0] + pair.refresh_token[len(session) :],
        "茶",
        "\udcff",
        "a" * 100_000,
    ]
    for text in forged:
        with pytest.raises(InvalidCredentials):
            await tokens.refresh(text)
    assert await is_valid(tokens, pair.access_token)
    assert await is_valid(tokens, (await tokens.refresh(pair.refresh_token)).access_token)
    assert (await tokens.refresh(stranger.refresh_token)).refresh_token != stranger.refresh_token


async def test_a_session_that_was_signed_out_refuses_both_tokens(tokens: Tokens) -> None:
    pair, other = await tokens.sign_in(7), await tokens.sign_in(7)
    session = (await tokens.verify(pair.access_token)).session
    assert await tokens.sign_out(session)
    assert not await tokens.sign_out(session)
    assert not await is_valid(tokens, pair.access_token)
    with pytest.raises(InvalidCredentials):
        await tokens.refresh(pair.refresh_token)
    assert await is_valid(tokens, other.access_token)


async def test_signing_out_everywhere_can_keep_one_session(tokens: Tokens) -> None:
    pairs = [await tokens.sign_in(7) for _ in range(3)]
    stranger = await tokens.sign_in(8)
    kept = (await tokens.verify(pairs[0].access_token)).session
    assert await tokens.sign_out_everywhere(7, keep=kept) == 2
    assert [await is_valid(tokens, pair.access_token) for pair in pairs] == [True, False, False]
    assert await tokens.sign_out_everywhere(7) == 1
    assert await tokens.devices(7) == []
    assert (await tokens.verify(stranger.access_token)).subject == "8"


async def test_a_user_sees_the_devices_that_are_signed_in(tokens: Tokens) -> None:
    await tokens.sign_in(7, device="Firefox")
    await tokens.sign_in(7, device="a phone \udcff" + "x" * 500)
    await tokens.sign_in(8, device="another's")
    devices = await tokens.devices(7)
    assert sorted(device.name[:9] for device in devices) == ["Firefox", "a phone ?"]
    assert max(len(device.name) for device in devices) == 200
    ended = next(device for device in devices if device.name == "Firefox")
    assert ended.signed_in_at <= ended.last_used_at
    assert await tokens.sign_out(ended.session)
    assert [device.name[:7] for device in await tokens.devices(7)] == ["a phone"]


async def test_the_oldest_session_ends_when_there_are_too_many(tokens: Tokens) -> None:
    pairs = [await tokens.sign_in(7) for _ in range(MAX_SESSIONS + 1)]
    assert len(await tokens.devices(7)) == MAX_SESSIONS
    assert not await is_valid(tokens, pairs[0].access_token)
    assert await is_valid(tokens, pairs[1].access_token)


async def test_redis_has_no_token_and_every_key_expires(tokens: Tokens, redis_url: str) -> None:
    pair = await tokens.sign_in(7)
    following = await tokens.refresh(pair.refresh_token)
    secrets = [part for text in (pair, following) for part in text.refresh_token.split(".")[1:]]
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter("xi_test:auth:*")]
        assert len(keys) == 2
        assert len({key.partition("{")[2].partition("}")[0] for key in keys}) == 1  # one slot of a Cluster
        assert all([await redis.pttl(key) > 0 for key in keys])
        stored = [str(await redis.hgetall(key)) for key in keys if not key.endswith("sessions")]
    assert stored
    assert not [secret for secret in secrets if secret in "".join(stored)]


async def test_a_session_ends_when_it_is_not_used_and_at_its_end(redis_url: str, tmp_path: Path) -> None:
    config = configured(redis_url, tmp_path, JWT_ACCESS_TTL=1, JWT_REFRESH_TTL=1000, JWT_SESSION_TTL=1500)
    async with lifespan(config), Redis.from_url(redis_url) as redis:
        tokens = Tokens(config)
        pair = await tokens.sign_in(7)
        session = (await tokens.verify(pair.access_token)).session
        (key,) = [key async for key in redis.scan_iter(f"*:{session}")]
        assert 990_000 < await redis.pttl(key) <= 1_000_000
        ends = float(await redis.hget(key, "ends") or 0)
        await redis.hset(key, "ends", str(ends - 1_400_000))  # as if it had begun long ago
        pair = await tokens.refresh(pair.refresh_token)
        assert 0 < await redis.pttl(key) <= 100_000
        await redis.hset(key, "ends", str(ends - 2_000_000))
        with pytest.raises(InvalidCredentials):
            await tokens.refresh(pair.refresh_token)
        assert not await redis.exists(key)


async def test_without_redis_every_token_is_a_503(redis_url: str, tmp_path: Path) -> None:
    config = configured(redis_url, tmp_path)
    async with lifespan(config):
        tokens = Tokens(config)
        pair = await tokens.sign_in(7)
    away = configured("redis://127.0.0.1:1/0", tmp_path)
    async with lifespan(away, check=False):
        tokens = Tokens(away)
        results = await asyncio.gather(
            tokens.verify(pair.access_token),
            tokens.refresh(pair.refresh_token),
            tokens.sign_in(7),
            tokens.devices(7),
            tokens.sign_out_everywhere(7),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [ResourceError] * 5
        with pytest.raises(InvalidCredentials):  # what is forged needs no Redis
            await tokens.verify(pair.access_token[:-3] + "abc")


@pytest.mark.parametrize("user", ["", "a" * 256, "a\u0000", "\ud800"])
async def test_a_user_that_no_token_could_name_cannot_sign_in(tokens: Tokens, user: str) -> None:
    with pytest.raises(ValueError, match="printable text"):
        await tokens.sign_in(user)
