"""What the generator makes, as its users have it: booted on real servers, migrated, tested, linted.

A small selection here, in which every two answers meet; `make generate` makes every combination.
"""

from __future__ import annotations

import os
import signal
import tomllib
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from websockets.exceptions import InvalidStatus

from sanicbase.cli.scaffold.names import MAX_LENGTH
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.servers import MYSQL_URL, POSTGRES_URL
from tests.cli.conftest import Folder
from tests.preloaded import PreloadedService, preloaded

ROOT = Path(__file__).parents[2]
EVERYTHING = os.environ.get("SANICBASE_TEST_GENERATED") == "all"
KINDS = ("http", "ws", "srv")
TOKEN = "a-token-for-the-tests"
PASSWORD = "a password for the tests"


CHANGED = """
import asyncio
from aerich import Command
from {name}.config import migrate_db

async def main():
    async with Command(migrate_db, app="{name}") as command:
        assert await command.migrate("article")
        (up,) = await command.upgrade()
        assert await command.downgrade(version=-1, delete=False) == [up]
        assert await command.upgrade() == [up]

asyncio.run(main())
"""


AUTHORS = '''
"""Tables of an author's own."""

from enum import StrEnum

from sanicbase import DBModel
from tortoise import fields


class State(StrEnum):
    """What a ticket can be."""

    NEW = "new"
    OLD = "old"


class Seat(DBModel):
    """A row whose key is no number, and given by its author."""

    code = fields.CharField(max_length=12, primary_key=True)
    price = fields.DecimalField(max_digits=8, decimal_places=2, default=0)
    opens = fields.TimeField(null=True)
    made_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "seat"


class Ticket(DBModel):
    """A row with columns that are no plain values."""

    id = fields.UUIDField(primary_key=True)
    state = fields.CharEnumField(State)
    password_hash = fields.CharField(max_length=90)
    note = fields.TextField(null=True)
    facts = fields.JSONField[dict[str, str]](default=dict)

    class Meta:
        table = "ticket"


class Snow(DBModel):
    """A row whose key is made by nobody here, and is too large for JavaScript."""

    id = fields.BigIntField(primary_key=True, generated=False)
    owner_id = fields.BigIntField(null=True)
    name = fields.CharField(max_length=20)

    class Meta:
        table = "snow"


class Wide(DBModel):
    """A row whose key has 64 bits."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=20)

    class Meta:
        table = "wide"


class Small(DBModel):
    """A row whose key has 16 bits, and nothing else."""

    id = fields.SmallIntField(primary_key=True, generated=False)

    class Meta:
        table = "small"


class Visit(DBModel):
    """A row that leads to another."""

    seat: fields.ForeignKeyRelation[Seat] = fields.ForeignKeyField("SERVICE.Seat")
    day = fields.DateField()

    class Meta:
        table = "visit"
'''


class Combination(NamedTuple):
    """One set of answers."""

    kinds: tuple[str, ...]
    database: str
    redis: str
    auth: str
    language: str

    @property
    def name(self) -> str:
        kinds = "".join(kind[0] for kind in self.kinds)
        return f"{kinds}_{self.database}_{self.redis[0]}_{self.auth[0]}_{self.language}"


class Long(Combination):
    """The same with the longest name that a service may have."""

    @property
    def name(self) -> str:
        return "a_service_of_many_letters"[:MAX_LENGTH]


SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(KINDS, size)]
ALL = [
    Combination(*combination)
    for combination in product(
        SUBSETS, ("sqlite", "mysql", "postgres"), ("embedded", "server"), ("none", "token", "jwt"), ("en", "zh")
    )
    if combination[3] != "jwt" or {"http", "srv"} <= set(combination[0])  # others are refused
]


def pairwise() -> list[Combination]:
    """Few combinations in which every two answers to different questions are together at least once."""
    missing = {pair for combination in ALL for pair in pairs(combination)}
    chosen = []
    while missing:
        best = max(ALL, key=lambda combination: len(missing & pairs(combination)))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


def pairs(combination: Combination) -> set[object]:
    # Of the kinds it matters whether one is there, not with which others.
    facts = [("kind", kind, kind in combination.kinds) for kind in KINDS]
    facts += [(name, value, True) for name, value in zip(combination._fields[1:], combination[1:], strict=True)]
    return {frozenset(pair) for pair in combinations(facts, 2)}


CHOSEN = ALL if EVERYTHING else pairwise()
BATCH = 12
BATCHES = [CHOSEN[start : start + BATCH] for start in range(0, len(CHOSEN), BATCH)]


@pytest.fixture(scope="module")
def servers(postgres_server_url: str, mysql_server_url: str) -> dict[str, str]:
    """The databases of this process, so that the projects' tests start none."""
    return {POSTGRES_URL: postgres_server_url, MYSQL_URL: mysql_server_url}


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("mypy")
@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"{len(batch)} from {batch[0].name}")
def test_every_combination_is_lint_clean_typed_and_tested(
    folder: Folder, batch: list[Combination], servers: dict[str, str]
) -> None:
    make(folder, batch)
    long = Long(*batch[0])._replace(kinds=KINDS, auth="none")
    make(folder, [long])
    (folder.path / long.name / "model_db/main.py").write_text(AUTHORS.lstrip().replace("SERVICE", long.name))
    for thing in ("ticket", "seat", "visit"):
        for kind in ("rc", "api"):
            folder.add(kind, thing, long.name)
    for thing in ("snow", "wide", "small"):
        for kind in ("rc", "api"):
            folder.add(kind, thing, long.name, text_ids=thing != "wide")
    assert "All checks passed!" in folder.run("ruff", "check", ".")
    assert "already formatted" in folder.run("ruff", "format", "--check", ".")
    assert "Success: no issues found" in folder.mypy()
    tested = folder.pytest(env=servers, timeout=300)
    assert " passed in " in tested
    assert " skipped" not in tested


@pytest.mark.timeout(120)
@pytest.mark.parametrize("combination", CHOSEN, ids=lambda combination: combination.name)
def test_every_combination_boots_and_migrates(
    folder: Folder, combination: Combination, redis_url: str, request: pytest.FixtureRequest
) -> None:
    make(folder, [combination])
    prefix = combination.name.upper()
    env = {f"{prefix}_REDIS_URL": redis_url} if combination.redis == "server" else {}
    if combination.database != "sqlite":
        env[f"{prefix}_DB_URL"] = request.getfixturevalue(f"{combination.database}_url")
    migrate(folder, combination, env)
    assert [boot(folder, combination, kind, env) for kind in combination.kinds] == [0] * len(combination.kinds)


def make(folder: Folder, batch: Sequence[Combination]) -> None:
    for combination in batch:
        folder.make(combination.name, **combination._asdict())


def migrate(folder: Folder, combination: Combination, env: dict[str, str]) -> None:
    """There, and back again: one file up, one down, and up again."""
    folder.init_db(combination.name, env)
    folder.add("model", "article", combination.name)
    folder.run(*preloaded("-c", CHANGED.format(name=combination.name)), env=env)


def boot(folder: Folder, combination: Combination, kind: str, env: dict[str, str]) -> int | None:
    """The status with which the service ends after it was called."""
    launch = folder.path / f"{kind}_{combination.name}.py"
    prefix = f"{combination.name.upper()}_"
    secrets = {"token": {f"{prefix}ADMIN_TOKEN": TOKEN}, "jwt": {f"{prefix}ADMIN_PASSWORD": PASSWORD}}
    secret = secrets.get(combination.auth, {})
    served: Literal["http", "ws"] = "ws" if kind == "ws" else "http"
    with PreloadedService(launch, cwd=folder.path, env=env | secret, prefix=prefix, kind=served) as service:
        if kind == "srv":
            # By then it can be told to stop: the heart beats on the minute, for which nobody waits.
            wait_until(lambda: handles_sigterm(service.pid), what="the scripts")
        else:
            service.wait_ready()
            call(service, combination, kind)
        return service.terminate()


def handles_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def call(service: ServiceProcess, combination: Combination, kind: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"} if combination.auth == "token" else {}
    if kind == "http":
        body = service.client.get(f"/{combination.name}/hello").json()
        assert body == {"code": 0, "msg": "ok", "data": {"hello": combination.name}}
        if combination.auth == "token":
            assert service.client.get(f"/{combination.name}/me").status_code == 401
            assert service.client.get(f"/{combination.name}/me", headers=headers).json()["data"]["name"] == "admin"
        if combination.auth == "jwt":
            sign_in(service, f"/{combination.name}/auth")
        return
    if combination.auth == "jwt":  # the first user of the HTTP service has the tokens
        with pytest.raises(InvalidStatus, match="401"), service.connect(f"/{combination.name}/echo"):
            pass
        return
    with service.connect(f"/{combination.name}/echo", headers=headers) as socket:
        socket.send("hello")
        assert socket.recv(10) == "hello"


def sign_in(service: ServiceProcess, root: str) -> None:
    body = {"account": "admin@example.com", "password": PASSWORD}
    pair = service.client.post(f"{root}/sign-in", json=body).json()["data"]
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    assert service.client.get(f"{root}/me").status_code == 401
    assert service.client.get(f"{root}/me", headers=headers).json()["data"]["email"] == "admin@example.com"
    response = service.client.post(f"{root}/register", json={"account": "ann@example.com"})
    assert response.status_code == 202  # its job is in the outbox


def test_the_linters_are_our_own(folder: Folder) -> None:
    """The generated project is held to what this one is held to."""
    folder.guider("new", "shop", "--yes", "--dry-run")
    folder.guider("new", "shop", "--yes")
    theirs = tomllib.loads((folder.path / "pyproject.toml").read_text())["tool"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert theirs["ruff"]["lint"]["select"] == ours["ruff"]["lint"]["select"]
    assert theirs["mypy"]["strict"] is ours["mypy"]["strict"] is True
