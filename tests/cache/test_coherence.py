"""The check of coherence, in its short form: several processes, random pauses, cancelled and killed writers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanicbase.testing.servers import MYSQL_URL, POSTGRES_URL

ROOT = Path(__file__).parents[3]
SECONDS = os.environ.get("SANICBASE_TEST_COHERENCE", "6")
VARIABLES = {"postgres": POSTGRES_URL, "mysql": MYSQL_URL}
WRONG = ("stale", "ghost", "lost", "backwards", "own", "different")


def checked(store: str, *words: str, **servers: str) -> tuple[int, dict[str, str], str]:
    """Run the check of one store; its exit status, its table by columns, and all that it said."""
    command = [sys.executable, "-m", "benchmarks.coherence", "--store", store, "--seconds", SECONDS, *words]
    limit = float(SECONDS) + 100
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **servers}, capture_output=True, text=True, timeout=limit
    )
    said = done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 1, said
    header, row = done.stdout.splitlines()[:2]
    names = header.replace("hit share", "hits").split()
    return done.returncode, dict(zip(names, row.split(), strict=True)), said


@pytest.mark.parametrize(
    "store", ["postgres", *(pytest.param(store, marks=pytest.mark.long) for store in ("sqlite", "aiomysql"))]
)
def test_no_get_is_older_than_a_write_that_returned(store: str, request: pytest.FixtureRequest) -> None:
    kind = "mysql" if store == "aiomysql" else store
    servers = {} if kind == "sqlite" else {VARIABLES[kind]: request.getfixturevalue(f"{kind}_server_url")}
    status, figures, said = checked(kind, **servers)
    assert {name: figures[name] for name in WRONG} == dict.fromkeys(WRONG, "0"), said
    assert status == 0, said
    assert int(figures["gets"]) > 200
    assert int(figures["kills"]) > 0


def test_nor_by_more_than_their_lag_are_entries_in_memory() -> None:
    status, figures, said = checked("sqlite", "--local", "1")
    assert {name: figures[name] for name in WRONG} == dict.fromkeys(WRONG, "0"), said
    assert status == 0, said


@pytest.mark.long
def test_nor_while_redis_is_emptied_frozen_and_restarted() -> None:
    status, figures, said = checked("sqlite", "--redis-every", "2")
    assert {name: figures[name] for name in WRONG} == dict.fromkeys(WRONG, "0"), said
    assert status == 0, said


def test_a_naive_cache_is_caught() -> None:
    counts, statuses = dict.fromkeys(("stale", "backwards"), 0), set()
    for _ in range(5):  # what is wrong with it is a race: a busy machine may need longer to lose one
        status, figures, _ = checked("sqlite", "--control")
        counts = {name: count + int(figures[name]) for name, count in counts.items()}
        statuses.add(status)
        if all(counts.values()):
            break
    assert 1 in statuses
    assert all(counts.values()), counts
