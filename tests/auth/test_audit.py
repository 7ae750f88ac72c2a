"""The audit trail: each event is in the log and in the table, and neither has a secret."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sanic.exceptions import Forbidden
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase import APIClient, APIKeys, Device, IntegrityError, InvalidCredentials, Policy, record_audit, transaction
from sanicbase.log.context import current_context
from sanicbase.testing import capture_jobs, client
from tests.auth.club import ClubAccounts, ClubAudit, ClubKey, Member, club, passwords, send_token

PASSWORD, NEW_PASSWORD = "four ravens over the harbour", "five swans under the bridge"


@pytest.fixture
async def here(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, ClubAccounts]]:
    stores: dict[str, Any] = {"DB_URL": f"sqlite://{tmp_path}/club.sqlite3", "REDIS_URL": redis_url}
    app, accounts = club(LOG_DIR=tmp_path / "logs", **stores)
    async with client(app) as http:
        await Tortoise.generate_schemas()
        await Member.create(email="ann@example.org", password_hash=await passwords.hash(PASSWORD))
        yield http, accounts


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """The events in the log."""
    return [vars(record)["audit"] for record in caplog.records if record.name == "sanicbase.audit"]


async def test_every_event_is_logged_and_written_without_a_secret(
    here: tuple[httpx.AsyncClient, ClubAccounts], caplog: pytest.LogCaptureFixture
) -> None:
    http, accounts = here
    caplog.set_level(logging.INFO, "sanicbase.audit")
    secrets = [PASSWORD, NEW_PASSWORD, "a password in the wrong field"]

    async def post(path: str, access: str = "", **body: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        answer = await http.post(f"/auth/{path}", json=body, headers=headers)
        pair = answer.json().get("data") if answer.content else None
        secrets.extend(map(str, (pair["access_token"], pair["refresh_token"]) if isinstance(pair, dict) else ()))
        return pair if isinstance(pair, dict) else {}

    await post("sign-in", account="ann@example.org", password="wrong one")
    await post("sign-in", account="a password in the wrong field", password="wrong one")
    pair = await post("sign-in", account="ann@example.org", password=PASSWORD)
    with capture_jobs() as jobs:
        await post("forgotten-password", account="ann@example.org")
        (sent,) = jobs.arguments_of(send_token)
        secrets.append(sent["token"])
    pair = await post("password", token=sent["token"], password=NEW_PASSWORD)
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    body = {"current_password": "wrong one", "new_password": PASSWORD}
    await http.put("/auth/password", json=body, headers=bearer)
    await http.put("/auth/password", json=body | {"current_password": NEW_PASSWORD}, headers=bearer)
    await post("sign-out", pair["access_token"])
    again = await accounts.tokens.sign_in(1)
    await accounts.tokens.refresh(again.refresh_token)
    with pytest.raises(InvalidCredentials):
        await accounts.tokens.refresh(again.refresh_token)
    keys = APIKeys(ClubKey, prefix="club")
    key, row = await keys.create(1, "nightly")
    await keys.revoke(row.id, owner=1)
    secrets += [key.rpartition("_")[2], again.refresh_token.rpartition(".")[2], again.access_token]

    logged = events(caplog)
    assert [(event["event"], event["user"]) for event in logged] == [
        ("sign_in_refused", "1"),
        ("sign_in_refused", ""),
        ("signed_in", "1"),
        ("token_requested", "1"),
        ("password_chosen", "1"),
        ("signed_out_everywhere", "1"),
        ("signed_in", "1"),
        ("password_refused", "1"),
        ("password_changed", "1"),
        ("signed_out", ""),
        ("signed_in", "1"),
        ("refresh_reused", "1"),
        ("api_key_created", "1"),
        ("api_key_revoked", "1"),
    ]
    assert [event["client"] for event in logged] == ["127.0.0.1"] * 10 + [""] * 4
    rows = await ClubAudit.all().order_by("id")
    assert [(row.event, row.user, row.client) for row in rows] == [
        (event["event"], event["user"], event["client"]) for event in logged
    ]
    assert all(row.request for row in rows[:10])
    assert rows[11].facts["session"] == logged[11]["session"]
    stored = f"{caplog.text} {logged} {[(row.facts, row.user) for row in rows]}"
    assert [secret for secret in secrets if secret and secret in stored] == []


async def test_the_lines_of_a_request_name_its_user(
    here: tuple[httpx.AsyncClient, ClubAccounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    http, accounts = here
    pair = await accounts.tokens.sign_in(1)
    users: list[str] = []

    async def devices(user: object) -> list[Device]:
        users.append(current_context().user)
        return []

    monkeypatch.setattr(accounts.tokens, "devices", devices)
    await http.get("/auth/devices", headers={"Authorization": f"Bearer {pair.access_token}"})
    assert users == ["1"]


async def test_a_refused_permission_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    policy = Policy[APIClient](roles={"all": ["reports.read"]})
    with pytest.raises(Forbidden):
        policy.require(APIClient("k1", "billing", frozenset()), "reports.read")
    (event,) = events(caplog)
    assert event == {"event": "permission_denied", "user": "k1", "client": "", "action": "reports.read"}


async def test_a_service_records_events_of_its_own_with_its_transaction(
    here: tuple[httpx.AsyncClient, ClubAccounts],
) -> None:
    async with transaction():
        await record_audit("role_changed", user=1, role="editor")
    with pytest.raises(IntegrityError):
        async with transaction():
            await record_audit("role_changed", user=1, role="owner")
            await Member.create(email="ann@example.org")  # there is one
    assert [(row.event, row.facts) for row in await ClubAudit.all()] == [("role_changed", {"role": "editor"})]


async def test_an_unwritable_audit_row_is_logged_and_stops_nobody(
    here: tuple[httpx.AsyncClient, ClubAccounts], caplog: pytest.LogCaptureFixture
) -> None:
    http, _ = here
    await get_connection("default").execute_script("DROP TABLE club_audit")
    answer = await http.post("/auth/sign-in", json={"account": "ann@example.org", "password": PASSWORD})
    assert answer.status_code == 200
    assert "The audit record of signed_in could not be written." in caplog.text


async def test_an_unwritable_audit_row_does_not_end_the_surrounding_transaction(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    app, _ = club(LOG_DIR=tmp_path / "logs", DB_URL=postgres_url, REDIS_URL=redis_url)
    async with client(app) as http:
        await Tortoise.generate_schemas()
        await Member.create(email="ann@example.org", password_hash=await passwords.hash(PASSWORD))
        await get_connection("default").execute_script("DROP TABLE club_audit")
        signed_in = await http.post("/auth/sign-in", json={"account": "ann@example.org", "password": PASSWORD})
        changed = await http.put(
            "/auth/password",
            json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
            headers={"Authorization": f"Bearer {signed_in.json()['data']['access_token']}"},
        )
        assert changed.status_code == 204
        new = await http.post("/auth/sign-in", json={"account": "ann@example.org", "password": NEW_PASSWORD})
        assert new.status_code == 200
