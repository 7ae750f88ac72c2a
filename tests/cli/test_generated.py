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

from sanicbase.cli.scaffold.names import MAX_LENGTH
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.servers import MYSQL_URL, POSTGRES_URL
from tests.cli.conftest import Folder
from tests.preloaded import preloaded

ROOT = Path(__file__).parents[2]
EVERYTHING = os.environ.get("SANICBASE_TEST_GENERATED") == "all"
KINDS = ("http", "ws", "srv")


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
    Combination(*each)
    for each in product(
        SUBSETS, ("sqlite", "mysql", "postgres"), ("embedded", "server"), ("none", "token"), ("en", "zh")
    )
]


def pairwise() -> list[Combination]:
    """Few combinations in which every two answers to different questions are together at least once."""
    wanted = {pair for each in ALL for pair in pairs(each)}
    chosen = []
    while wanted:
        best = max(ALL, key=lambda each: len(wanted & pairs(each)))
        chosen.append(best)
        wanted -= pairs(best)
    return chosen


def pairs(each: Combination) -> set[object]:
    # Of the kinds it matters whether one is there, not with which others.
    facts = [("kind", kind, kind in each.kinds) for kind in KINDS]
    facts += [(name, value, True) for name, value in zip(each._fields[1:], each[1:], strict=True)]
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
@pytest.mark.parametrize("each", CHOSEN, ids=lambda each: each.name)
def test_every_combination_boots_and_migrates(
    folder: Folder, each: Combination, redis_url: str, request: pytest.FixtureRequest
) -> None:
    make(folder, [each])
    prefix = each.name.upper()
    env = {f"{prefix}_REDIS_URL": redis_url} if each.redis == "server" else {}
    if each.database != "sqlite":
        env[f"{prefix}_DB_URL"] = request.getfixturevalue(f"{each.database}_url")
    migrate(folder, each, env)
    assert [boot(folder, each, kind, env) for kind in each.kinds] == [0] * len(each.kinds)


def make(folder: Folder, batch: Sequence[Combination]) -> None:
    for each in batch:
        folder.make(each.name, **each._asdict())


def migrate(folder: Folder, each: Combination, env: dict[str, str]) -> None:
    """There, and back again: one file up, one down, and up again."""
    folder.init_db(each.name, env)
    folder.add("model", "article", each.name)
    folder.run(*preloaded("-c", CHANGED.format(name=each.name)), env=env)


def boot(folder: Folder, each: Combination, kind: str, env: dict[str, str]) -> int | None:
    """The status with which the service ends after it was called."""
    launch = folder.path / f"{kind}_{each.name}.py"
    prefix = f"{each.name.upper()}_"
    token = {f"{prefix}ADMIN_TOKEN": "a-token-for-the-tests"} if each.auth == "token" else {}
    served: Literal["http", "ws"] = "ws" if kind == "ws" else "http"
    with ServiceProcess(launch, cwd=folder.path, env=env | token, prefix=prefix, kind=served) as service:
        if kind == "srv":
            # By then it can be told to stop: the heart beats on the minute, for which nobody waits.
            wait_until(lambda: handles_sigterm(service.pid), what="the scripts")
        else:
            service.wait_ready()
            call(service, each, kind)
        return service.terminate()


def handles_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def call(service: ServiceProcess, each: Combination, kind: str) -> None:
    headers = {"Authorization": "Bearer a-token-for-the-tests"} if each.auth == "token" else {}
    if kind == "http":
        answer = service.client.get(f"/{each.name}/hello").json()
        assert answer == {"code": 0, "msg": "ok", "data": {"hello": each.name}}
        if each.auth == "token":
            assert service.client.get(f"/{each.name}/me").status_code == 401
            assert service.client.get(f"/{each.name}/me", headers=headers).json()["data"]["name"] == "admin"
        return
    with service.connect(f"/{each.name}/echo", headers=headers) as socket:
        socket.send("hello")
        assert socket.recv(10) == "hello"


def test_the_linters_are_our_own(folder: Folder) -> None:
    """The generated project is held to what this one is held to."""
    folder.guider("new", "shop", "--yes", "--dry-run")
    folder.guider("new", "shop", "--yes")
    theirs = tomllib.loads((folder.path / "pyproject.toml").read_text())["tool"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert theirs["ruff"]["lint"]["select"] == ours["ruff"]["lint"]["select"]
    assert theirs["mypy"]["strict"] is ours["mypy"]["strict"] is True
