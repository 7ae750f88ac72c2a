"""API keys: shown once, stored as digests, and refused from the next request on when they are revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sanic import Blueprint
from tortoise import Tortoise, timezone

from sanicbase import APIClient, APIKeys, APIView, ConfigError, InvalidCredentials, Policy, Request, create_app
from sanicbase.db.errors import DatabaseError
from sanicbase.testing import client
from tests.auth.club import ClubConfig, ClubKey

keys = APIKeys(ClubKey, prefix="club")
policy = Policy[APIClient](roles={"all": ["*"]}, permissions_of=lambda machine: machine.scopes)


@policy.rule("reports.read")
def is_owner(machine: APIClient, report: object) -> bool:
    return machine.owner == report


@policy.rule("reports.write")
def never(machine: APIClient, report: object) -> bool:
    return False


class ReportAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> APIClient:
        return await keys.authenticate(request)

    @policy.requires("reports.read")
    async def get(self, request: Request, user: APIClient) -> str:
        return user.owner

    @policy.requires("reports.write")
    async def post(self, request: Request) -> None: ...


@pytest.fixture
async def http(redis_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    blueprint = Blueprint("reports")
    ReportAPI.attach(blueprint, "/reports")
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{tmp_path}/club.sqlite3", "REDIS_URL": redis_url}
    async with client(create_app(ClubConfig(LOG_DIR=tmp_path / "logs", **stores), blueprint)) as http:
        await Tortoise.generate_schemas()
        yield http


async def status(http: httpx.AsyncClient, key: str, method: str = "GET") -> int:
    return (await http.request(method, "/reports", headers={"Authorization": f"Bearer {key}"})).status_code


async def test_a_key_opens_what_its_scopes_name_until_it_is_revoked(http: httpx.AsyncClient) -> None:
    key, row = await keys.create("billing", "nightly", scopes=["reports.read"])
    assert (await status(http, key), await status(http, key, "POST")) == (200, 403)
    assert [key.id for key in await keys.list("billing")] == [row.id]
    assert not await keys.revoke(row.id, owner="somebody else")
    assert await status(http, key) == 200
    assert await keys.revoke(row.id, owner="billing")
    assert await status(http, key) == 401
    assert not await keys.revoke(row.id, owner="billing")


async def test_the_table_and_the_log_do_not_have_the_key(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        key, row = await keys.create("billing", "nightly")
    secret = key.rpartition("_")[2]
    (stored,) = await ClubKey.all().values()
    assert key.startswith(f"club_{row.id}_")
    assert secret not in str(stored)
    logged = str([vars(record) for record in caplog.records])
    assert row.id in logged
    assert secret not in logged


async def test_an_expired_key_is_refused_with_the_reason(http: httpx.AsyncClient) -> None:
    key, row = await keys.create("billing", "nightly", expires_at=timezone.now() + timedelta(hours=1))
    assert (await keys.verify(key)).id == row.id
    await ClubKey.update_by_pk(row.id, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(InvalidCredentials, match="has expired"):
        await keys.verify(key)
    with pytest.raises(InvalidCredentials, match="not valid"):  # without the secret, nobody learns that it existed
        await keys.verify(f"club_{row.id}_{'0' * 64}")


async def test_the_last_use_is_noted_to_the_minute(http: httpx.AsyncClient) -> None:
    key, row = await keys.create("billing", "nightly")
    assert row.last_used_at is None
    await keys.verify(key)
    first = (await ClubKey.get(id=row.id)).last_used_at
    await keys.verify(key)
    assert (await ClubKey.get(id=row.id)).last_used_at == first is not None
    await ClubKey.update_by_pk(row.id, last_used_at=timezone.now() - timedelta(minutes=2))
    await keys.verify(key)
    assert cast("Any", (await ClubKey.get(id=row.id)).last_used_at) > first


async def test_a_use_that_cannot_be_noted_opens_as_well(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = await keys.create("billing", "reports", scopes=["reports.read"])

    async def read_only(*_: object, **__: object) -> int:
        raise DatabaseError("The database is read-only.")

    monkeypatch.setattr(ClubKey, "update_by_pk", read_only)
    assert (await keys.verify(key)).owner == "billing"
    assert "could not be noted: The database is read-only." in caplog.text
    assert key not in caplog.text


async def test_an_invalid_key_is_a_401(http: httpx.AsyncClient) -> None:
    key, row = await keys.create("billing", "nightly", scopes=["reports.read"])
    other, _ = await keys.create("billing", "other")
    secret = key.rpartition("_")[2]
    hostile = ["a", "club", f"club_{row.id}", f"club_{row.id}_", f"club_{row.id}_{secret[:-1]}", f"{key}0", f"{key}_"]
    hostile += [f"shop_{row.id}_{secret}", f"Club_{row.id}_{secret}", f"club_{'0' * 16}_{secret}", key.upper()]
    hostile += [f"club_{row.id}_{other.rpartition('_')[2]}", f"club_{row.id}_{row.digest}", f"club__{secret}"]
    hostile += [f"club_{row.id}|{secret}", f"club_{row.id}_{secret[:-1]}g", "a" * 4096]
    for text in hostile:
        answer = await http.get("/reports", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401, text
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert [keys.is_key(text) for text in (key, other, key[:-1], "a.b.c")] == [True, True, False, False]
    assert await status(http, key) == 200


async def test_invalid_options_are_refused(http: httpx.AsyncClient) -> None:
    with pytest.raises(ValueError, match="would have expired already"):
        await keys.create("billing", "late", expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ValueError, match="Scopes are a list"):
        await keys.create("billing", "text", scopes="reports.read")
    for prefix in ("", "Shop", "a-b", "1a", "a.b", "(a)"):
        with pytest.raises(ConfigError, match="prefix"):
            APIKeys(ClubKey, prefix=prefix)
    assert await ClubKey.all().count() == 0
