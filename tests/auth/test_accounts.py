"""The routes of accounts: a token proves the address, a password opens sessions, and no answer tells who exists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tortoise import Tortoise, timezone

from sanicbase import Accounts, ConfigError, Passwords, TokenReason
from sanicbase.auth import common_passwords
from sanicbase.auth.common_passwords import is_common
from sanicbase.http.openapi.document import document, info_of
from sanicbase.testing import CapturedJobs, capture_jobs, client
from tests.auth.club import ClubAccounts, Me, Member, MemberToken, Outbox, club, passwords, send_notice, send_token

PASSWORD = "four ravens over the harbour"
STORES = [
    pytest.param("sqlite", marks=pytest.mark.xdist_group("embedded")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    pytest.param("mysql", marks=pytest.mark.xdist_group("mysql")),
]
on_servers = pytest.mark.parametrize("store", STORES[1:])


class Club(NamedTuple):
    http: httpx.AsyncClient
    accounts: ClubAccounts
    jobs: CapturedJobs

    def sent(self) -> tuple[str, str, str]:
        """The reason, the account and the token of the latest message."""
        arguments = self.jobs.arguments_of(send_token)[-1]
        return arguments["reason"], arguments["account"], arguments["token"]

    def notices(self) -> list[tuple[str, str, str]]:
        """What owners were told, of which account, and by which device it was done."""
        return [tuple(arguments.values()) for arguments in self.jobs.arguments_of(send_notice)]

    async def post(self, path: str, access: str = "", /, **body: str) -> httpx.Response:
        return await self.http.post(f"/auth/{path}", json=body, headers=bearer(access))

    async def join(self, account: str = "ann@example.org", password: str = PASSWORD) -> dict[str, str]:
        """The tokens of a new member."""
        assert (await self.post("register", account=account)).status_code == 202
        answer = await self.post("password", token=self.sent()[2], password=password)
        assert answer.status_code == 200, answer.text
        pair: dict[str, str] = answer.json()["data"]
        return pair

    async def status(self, path: str, access_token: str) -> int:
        return (await self.http.get(f"/auth/{path}", headers=bearer(access_token))).status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest.fixture
def store() -> str:
    return "sqlite"


@pytest.fixture
async def here(
    store: str, redis_url: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Club]:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite://{tmp_path}/club.sqlite3" if store == "sqlite" else request.getfixturevalue(f"{store}_url")
    async with served(url, redis_url, tmp_path) as club:
        yield club


@asynccontextmanager
async def served(url: str, redis_url: str, folder: Path, **settings: Any) -> AsyncIterator[Club]:
    app, accounts = club(DB_URL=url, REDIS_URL=redis_url, LOG_DIR=folder / "logs", **settings)
    async with client(app) as http:
        await Tortoise.generate_schemas()
        with capture_jobs() as jobs:
            yield Club(http, accounts, jobs)


@pytest.mark.parametrize("store", STORES)
async def test_a_member_registers_signs_in_changes_the_password_and_leaves(here: Club) -> None:
    assert (await here.post("register", account=" Ann@Example.org ")).status_code == 202
    reason, account, token = here.sent()
    assert (reason, account) == ("registration", "ann@example.org")
    assert await Member.all().count() == 0  # until the address is proved
    first = (await here.post("password", token=token, password=PASSWORD)).json()["data"]
    me = await here.http.get("/auth/me", headers=bearer(first["access_token"]))
    assert me.json()["data"] == {"id": 1, "email": "ann@example.org"}

    answer = await here.post("sign-in", account="ANN@example.org", password=PASSWORD)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    second = answer.json()["data"]
    refreshed = await here.post("refresh", refresh_token=second["refresh_token"])
    assert (refreshed.status_code, refreshed.headers["cache-control"]) == (200, "no-store")
    second = refreshed.json()["data"]
    devices = await here.http.get("/auth/devices", headers=bearer(second["access_token"]))
    assert [device["current"] for device in devices.json()["data"]] in ([True, False], [False, True])

    body = {"current_password": PASSWORD, "new_password": "five swans under the bridge"}
    changed = await here.http.put("/auth/password", json=body, headers=bearer(second["access_token"]))
    assert changed.status_code == 204
    assert await here.status("me", first["access_token"]) == 401  # all other sessions have ended
    assert await here.status("me", second["access_token"]) == 200
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 401
    assert (await here.post("sign-in", account="ann@example.org", password=body["new_password"])).status_code == 200

    assert (await here.post("sign-out", second["access_token"])).status_code == 204
    assert await here.status("me", second["access_token"]) == 401


@pytest.mark.parametrize("store", STORES)
async def test_a_forgotten_password_is_replaced_once_and_ends_all_sessions(here: Club) -> None:
    pair = await here.join()
    assert (await here.post("forgotten-password", account="ann@example.org")).status_code == 202
    reason, account, token = here.sent()
    assert (reason, account) == ("forgotten_password", "ann@example.org")
    body = {"token": token, "password": "five swans under the bridge"}
    answers = await asyncio.gather(*(here.post("password", **body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    assert await here.status("me", pair["access_token"]) == 401
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 401
    (good,) = (answer.json()["data"] for answer in answers if answer.status_code == 200)
    assert await here.status("me", good["access_token"]) == 200


async def test_a_new_token_replaces_the_old_one_and_the_table_has_digests_only(here: Club) -> None:
    await here.join()
    tokens = []
    for _ in range(2):
        await here.post("forgotten-password", account="ann@example.org")
        tokens.append(here.sent()[2])
    (row,) = await MemberToken.all()
    assert not {row.id, row.digest} & set(tokens)
    old, new = [await here.post("password", token=token, password=PASSWORD) for token in tokens]
    assert (old.status_code, new.status_code) == (401, 200)


async def test_an_expired_token_is_refused_and_its_row_goes(here: Club) -> None:
    await here.post("register", account="ann@example.org")
    await MemberToken.all().update(expires_at=timezone.now() - timedelta(seconds=1))
    refused = await here.post("password", token=here.sent()[2], password=PASSWORD)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    await MemberToken.all().update(expires_at=timezone.now() - timedelta(days=2))
    await here.post("register", account="bob@example.org")
    assert [row.account for row in await MemberToken.all()] == ["bob@example.org"]


async def test_no_response_reveals_whether_an_account_exists(here: Club) -> None:
    await here.join()
    known, unknown = "ann@example.org", "bob@example.org"
    for path in ("register", "forgotten-password"):
        answers = [await here.post(path, account=account) for account in (known, unknown)]
        assert {answer.status_code for answer in answers} == {202}
        assert answers[0].content == answers[1].content
    reasons = [(arguments["reason"], arguments["account"]) for arguments in here.jobs.arguments_of(send_token)[1:]]
    assert reasons == [  # the same work in either case
        (TokenReason.ALREADY_REGISTERED, known),
        (TokenReason.REGISTRATION, unknown),
        (TokenReason.FORGOTTEN_PASSWORD, known),
        (TokenReason.UNKNOWN_ACCOUNT, unknown),
    ]
    wrong = [
        await here.post("sign-in", account=account, password="wrong") for account in (known, unknown, "no address")
    ]
    assert {(answer.status_code, answer.json()["msg"]) for answer in wrong} == {
        (401, "The account or the password is wrong.")
    }
    dead = here.jobs.arguments_of(send_token)[-1]["token"]
    assert (await here.post("password", token=dead, password=PASSWORD)).status_code == 401
    assert await Member.all().count() == 1


async def test_an_unknown_account_costs_a_hash_as_a_known_one_does(here: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[bool] = []
    verify = Passwords._verify

    def spied(self: Passwords, data: bytes, password_hash: str | None) -> Any:
        verified.append(password_hash is not None)
        return verify(self, data, password_hash)

    monkeypatch.setattr(Passwords, "_verify", spied)
    await here.join()
    await here.post("sign-in", account="ann@example.org", password="wrong")
    await here.post("sign-in", account="bob@example.org", password="wrong")
    assert verified[:2] == [True, False]


@pytest.mark.parametrize("store", STORES[2:])
async def test_another_spelling_is_another_account_even_if_the_database_considers_them_equal(here: Club) -> None:
    """Each spelling has limits of its own, so none but that of the row may reach it."""
    spelling = "josé@example.org"  # the same in MySQL's collation
    await here.join("jose@example.org")
    await here.post("forgotten-password", account=spelling)
    assert here.sent()[:2] == ("unknown_account", spelling)
    assert (await here.post("sign-in", account=spelling, password=PASSWORD)).status_code == 401
    await here.post("register", account=spelling)
    reason, account, token = here.sent()
    assert (reason, account) == ("registration", spelling)
    assert (await here.post("password", token=token, password=PASSWORD)).status_code == 401
    assert (await here.post("sign-in", account="jose@example.org", password=PASSWORD)).status_code == 200


async def test_the_token_and_its_job_are_committed_together(
    store: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, accounts = club(DB_URL=f"sqlite://{tmp_path}/club.sqlite3", REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    enqueue = accounts.send_token

    async def fails(reason: TokenReason, account: str, token: str) -> None:
        await enqueue(reason, account, token)
        if account.startswith("bob"):
            raise RuntimeError("after the job was enqueued")

    monkeypatch.setattr(accounts, "send_token", fails)
    monkeypatch.setattr("sanicbase.jobs.outbox._Relay.wake", lambda relay: None)  # as if the process were killed
    async with client(app) as http:
        await Tortoise.generate_schemas()
        for name, status in (("bob", 500), ("ann", 202)):
            answer = await http.post("/auth/register", json={"account": f"{name}@example.org"})
            assert answer.status_code == status
        assert [row.account for row in await MemberToken.all()] == ["ann@example.org"]
        (row,) = await Outbox.all()
        assert "ann@example.org" in row.message


@pytest.mark.parametrize(
    "password", ["password1234", "abcdefgh12345", "ann@example.org", "aaaaaaaaaaaa", "Example1234", "my-club-password"]
)
async def test_a_password_that_is_easy_to_guess_is_refused(here: Club, password: str) -> None:
    await here.post("register", account="ann@example.org")
    token = here.sent()[2]
    answer = await here.post("password", token=token, password=password)
    assert answer.status_code == 422
    (error,) = answer.json()["data"]
    assert (error["path"], error["code"]) == ("body.password", "password_predictable")
    assert (await here.post("password", token=token, password=PASSWORD)).status_code == 200


async def test_a_common_password_is_refused(here: Club) -> None:
    await here.post("register", account="ann@example.org")
    token = here.sent()[2]
    for password in ("liverpool", "Liverpool", "chocolate", "ｃｈｏｃｏｌａｔｅ"):
        answer = await here.post("password", token=token, password=password)
        (error,) = answer.json()["data"]
        assert (answer.status_code, error["code"]) == (422, "password_common"), password
    assert (await here.post("password", token=token, password="liverpool chocolate")).status_code == 200


def test_the_list_has_more_than_3000_common_passwords_that_a_user_could_choose() -> None:
    common = common_passwords.FILE.read_text().splitlines()[2:]
    assert len(common) >= 3000
    assert common == sorted(set(common))
    assert all(len(password) >= 8 and is_common(password.upper()) for password in common)
    assert not is_common("# Passwords of 8 characters")


@pytest.mark.parametrize(
    "account",
    [
        *("", "ann", "@", "ann@", "@example.org", "a b@example.org", "a@b@c", "a\u200b@b.org"),
        *("1<ann@example.org>", "ann@example.org(1)", "root,ann@example.org", "ann@example.org;", "a:b@example.org"),
    ],
)
async def test_an_invalid_address_is_refused(here: Club, account: str) -> None:
    answer = await here.post("register", account=account)
    assert answer.status_code == 422
    assert answer.json()["data"][0]["path"] == "body.account"
    assert here.jobs == []


async def test_a_new_password_has_8_to_256_characters_of_any_kind(here: Club) -> None:
    await here.post("register", account="ann@example.org")
    token = here.sent()[2]
    for password in ("", "7 chars", "x" * 257):
        assert (await here.post("password", token=token, password=password)).status_code == 422
    long = "".join(chr(0x4E00 + number) for number in range(256))  # 768 bytes, of which bcrypt would read 72
    for password in ("tbnqvkzj", "  mukivo  ", "28094173", "茶山雨桥鹿灯海云", long):
        answer = await here.post("password", token=token, password=password)
        assert answer.status_code == 200, password
        assert (await here.post("sign-in", account="ann@example.org", password=password)).status_code == 200
        assert (await here.post("sign-in", account="ann@example.org", password=password[:-1])).status_code == 401
        token = await MemberToken.issue("ann@example.org", "password", 60)


async def test_guesses_are_limited(here: Club) -> None:
    await here.join()
    answers = [await here.post("sign-in", account="ann@example.org", password="wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 429
    asked = [await here.post("forgotten-password", account="ann@example.org") for _ in range(6)]
    assert [answer.status_code for answer in asked].count(429) >= 1


async def test_the_password_is_asked_for_when_it_changes_and_guesses_are_limited(here: Club) -> None:
    pair = await here.join()
    body = {"current_password": "wrong", "new_password": "five swans under the bridge"}
    answers = [
        await here.http.put("/auth/password", json=body, headers=bearer(pair["access_token"])) for _ in range(11)
    ]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert answers[0].json()["data"][0]["code"] == "password_wrong"
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 200


async def test_an_older_hash_is_replaced_when_its_owner_signs_in(here: Club) -> None:
    weak = await Passwords(memory=16, time=1).hash(PASSWORD)
    await Member.create(email="ann@example.org", password_hash=weak)
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 200
    stored = (await Member.get(email="ann@example.org")).password_hash
    assert stored != weak
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 200


async def test_two_sign_ins_that_replace_an_older_hash_both_succeed(
    here: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = await Passwords(memory=16, time=1).hash(PASSWORD)
    await Member.create(email="ann@example.org", password_hash=weak)
    verify, both = here.accounts.passwords.verify, asyncio.Barrier(2)

    async def verified_together(password: str, password_hash: str | None) -> Any:
        check = await verify(password, password_hash)
        if password_hash == weak:
            await both.wait()
        return check

    monkeypatch.setattr(here.accounts.passwords, "verify", verified_together)
    sign_ins = [here.post("sign-in", account="ann@example.org", password=PASSWORD) for _ in range(2)]
    assert [answer.status_code for answer in await asyncio.gather(*sign_ins)] == [200, 200]
    assert len(await here.accounts.tokens.devices(1)) == 2


async def test_a_token_that_was_sent_does_not_outlive_a_change_of_the_password(here: Club) -> None:
    pair = await here.join()
    await here.post("forgotten-password", account="ann@example.org")
    token, new = here.sent()[2], "five swans under the bridge"
    changed = await here.http.put(
        "/auth/password",
        json={"current_password": PASSWORD, "new_password": new},
        headers=bearer(pair["access_token"]),
    )
    assert changed.status_code == 204
    assert (await here.post("password", token=token, password=PASSWORD)).status_code == 401
    assert (await here.post("sign-in", account="ann@example.org", password=new)).status_code == 200


async def test_sessions_of_the_old_password_end_even_if_the_client_leaves_at_the_commit(
    here: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = await here.join()
    tokens = here.accounts.tokens
    end_all = tokens.sign_out_everywhere
    calls = 0

    async def meanwhile(user: object, *, keep: str = "") -> int:
        nonlocal calls
        ended = await end_all(user, keep=keep)
        calls += 1
        if calls == 1:  # in the transaction: another client signs in with the old password
            await tokens.sign_in(user, device="thief")
        if calls == 3:  # the call of the route, after the commit
            raise asyncio.CancelledError
        return ended

    monkeypatch.setattr(tokens, "sign_out_everywhere", meanwhile)
    with suppress(httpx.HTTPError):
        await here.http.put(
            "/auth/password",
            json={"current_password": PASSWORD, "new_password": "five swans under the bridge"},
            headers=bearer(pair["access_token"]),
        )
    assert [device.name for device in await tokens.devices(1) if device.name == "thief"] == []


async def test_a_user_without_a_password_cannot_sign_in_and_a_locked_one_is_refused(here: Club) -> None:
    await Member.create(email="ann@example.org", password_hash=None)
    await Member.create(email="bob@example.org", password_hash=await passwords.hash(PASSWORD), locked=True)
    nobody = await here.post("sign-in", account="ann@example.org", password=PASSWORD)
    locked = await here.post("sign-in", account="bob@example.org", password=PASSWORD)
    assert (nobody.status_code, locked.status_code) == (401, 401)
    assert locked.json()["msg"] == "The account is locked."


async def test_a_locked_user_does_not_sign_in_with_a_new_password(here: Club) -> None:
    await here.join()
    await Member.all().update(locked=True)
    await here.post("forgotten-password", account="ann@example.org")
    answer = await here.post("password", token=here.sent()[2], password="five swans under the bridge")
    assert (answer.status_code, answer.json()["msg"]) == (401, "The account is locked.")
    await Member.all().update(locked=False)  # the token was not used up, and the password has not changed
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 200
    answer = await here.post("password", token=here.sent()[2], password="five swans under the bridge")
    assert answer.status_code == 200


async def test_a_password_that_changes_while_it_is_compared_opens_no_session(
    here: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.join()
    new_hash = await passwords.hash("five swans under the bridge")
    verify = here.accounts.passwords.verify

    async def changed_meanwhile(password: str, password_hash: str | None) -> Any:
        check = await verify(password, password_hash)
        await Member.all().update(password_hash=new_hash)
        await here.accounts.tokens.sign_out_everywhere(1)
        return check

    monkeypatch.setattr(here.accounts.passwords, "verify", changed_meanwhile)
    assert (await here.post("sign-in", account="ann@example.org", password=PASSWORD)).status_code == 401
    assert await here.accounts.tokens.devices(1) == []


async def test_the_owner_is_told_of_a_changed_password_and_of_a_new_device(here: Club) -> None:
    here.http.headers["User-Agent"] = "phone"
    pair = await here.join()
    credentials = {"account": "ann@example.org", "password": PASSWORD}
    await here.post("sign-in", **credentials)
    assert here.notices() == []  # neither of the registration, nor of its device
    here.http.headers["User-Agent"] = "laptop"
    assert (await here.post("sign-in", **{**credentials, "password": "wrong"})).status_code == 401
    for _ in range(2):
        assert (await here.post("sign-in", **credentials)).status_code == 200
    assert here.notices() == [("new_device", "ann@example.org", "laptop")]
    passwords = {"current_password": PASSWORD, "new_password": "five swans under the bridge"}
    changed = await here.http.put("/auth/password", json=passwords, headers=bearer(pair["access_token"]))
    assert changed.status_code == 204
    await here.post("forgotten-password", account="ann@example.org")
    await here.post("password", token=here.sent()[2], password="six geese above the castle")
    assert here.notices()[1:] == [("password_changed", "ann@example.org", "laptop")] * 2


async def test_devices_are_known_for_the_life_of_a_session_and_the_oldest_is_forgotten(
    here: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = here.accounts.tokens
    for number in range(51):
        await tokens.remember_device(7, f"device {number}")
    assert [await tokens.knows_device(7, f"device {number}") for number in (0, 1, 50)] == [False, True, True]
    assert not await tokens.knows_device(8, "device 50")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + tokens.session_lifetime + 1)
    assert not await tokens.knows_device(7, "device 50")


async def test_devices_are_signed_out_by_their_owner_only(here: Club) -> None:
    ann, bob = await here.join(), await here.join("bob@example.org")
    (device,) = (await here.http.get("/auth/devices", headers=bearer(ann["access_token"]))).json()["data"]
    assert device["current"]
    path = f"/auth/devices/{device['session']}"
    assert (await here.http.delete(path, headers=bearer(bob["access_token"]))).status_code == 404
    assert await here.status("me", ann["access_token"]) == 200
    assert (await here.http.delete(path, headers=bearer(ann["access_token"]))).status_code == 204
    assert await here.status("me", ann["access_token"]) == 401


async def test_every_session_ends_at_once(here: Club) -> None:
    pairs = [await here.join()]
    for _ in range(2):
        answer = await here.post("sign-in", account="ann@example.org", password=PASSWORD)
        pairs.append(answer.json()["data"])
    assert (await here.post("sign-out-everywhere", pairs[0]["access_token"])).status_code == 204
    assert [await here.status("me", pair["access_token"]) for pair in pairs] == [401] * 3


async def test_without_a_token_what_needs_one_is_a_401(here: Club) -> None:
    for method, path in [("GET", "me"), ("GET", "devices"), ("PUT", "password"), ("POST", "sign-out")]:
        assert (await here.http.request(method, f"/auth/{path}")).status_code == 401


async def test_the_document_has_every_route_with_its_types(tmp_path: Path, redis_url: str) -> None:
    app, _ = club(DB_URL=f"sqlite://{tmp_path}/club.sqlite3", REDIS_URL=redis_url)
    app.router.finalize()
    described = document(app, info_of(app.ctx.config))
    assert {
        (method, path.removeprefix("/auth/")) for path, methods in described["paths"].items() for method in methods
    } == {
        ("post", "register"),
        ("post", "sign-in"),
        ("post", "refresh"),
        ("post", "ticket"),
        ("post", "forgotten-password"),
        ("post", "password"),
        ("put", "password"),
        ("get", "me"),
        ("post", "sign-out"),
        ("post", "sign-out-everywhere"),
        ("get", "devices"),
        ("delete", "devices/{session}"),
    }
    assert described["paths"]["/auth/password"]["put"]["security"] == [{"bearer": []}]
    assert "security" not in described["paths"]["/auth/sign-in"]["post"]
    assert "401" in described["paths"]["/auth/sign-in"]["post"]["responses"]
    assert Me.__name__ in described["components"]["schemas"]


def test_a_model_without_the_columns_is_refused(tmp_path: Path) -> None:
    _, accounts = club()
    with pytest.raises(ConfigError, match=r"Member has no column 'phone'\. Name the column"):
        ClubAccounts(accounts.tokens, model=Member, token_model=MemberToken, account="phone", passwords=passwords)
    with pytest.raises(NotImplementedError, match="has no `send_token`"):
        unfinished: Accounts[Member] = Accounts(
            accounts.tokens, model=Member, token_model=MemberToken, passwords=passwords
        )
        asyncio.run(unfinished.send_token(TokenReason.REGISTRATION, "", ""))
