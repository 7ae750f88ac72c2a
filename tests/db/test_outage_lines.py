"""An outage is one line when it begins and one when it ends, however many notice it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Literal

import pytest
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext

from sanicbase.db.engine import outage
from sanicbase.db.engine.outage import Outage
from sanicbase.db.errors import DatabaseUnavailable, State
from sanicbase.testing import free_port
from tests.db.opening import LibraryConfig

SECRET = "correct-horse-battery"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "sanicbase.db")
    return caplog


def test_one_line_for_each_change(log: pytest.LogCaptureFixture) -> None:
    server = Outage("log at host:1/db")
    for _ in range(100):
        server.failed(ConnectionRefusedError(111, "refused"))
    server.answered()
    gone, back = [record.getMessage() for record in log.records]
    assert gone == "The database log at host:1/db does not answer: ConnectionRefusedError: refused."
    assert back.startswith("The database log at host:1/db answers again, after 0.")


def test_server_that_comes_and_goes_does_not_fill_the_log(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Outage("log")
    for _ in range(50):
        server.failed(OSError("gone"))
        server.answered()
    assert len(log.records) == 2
    server.failed(OSError("gone"))
    monkeypatch.setattr(outage, "LOG_INTERVAL", 0.0)
    server.failed(OSError("gone for good"))  # it lasts, and is told after all
    server.answered()
    assert [record.getMessage()[:28] for record in log.records[2:]] == [
        "The database log does not an",
        "The database log answers aga",
    ]


def test_each_state_ends_with_what_proves_it(log: pytest.LogCaptureFixture) -> None:
    server = Outage("log")
    proofs: dict[State, Callable[[], None]] = {
        "refusing": server.connected,
        "read_only": server.written,
        "full": server.written,
        "exhausted": server.answered,
    }
    server.failed(OSError("gone"))
    for state, proof in proofs.items():
        for _ in range(10):
            server.failed(OSError("why"), state)
        for other in {*proofs.values()} - {proof}:
            other()
        assert server.states == {state}, "a server that says why not has answered"
        proof()
        assert server.states == set()
    lines = [record.getMessage().removeprefix("The database log ").partition(", after")[0] for record in log.records]
    assert lines == [
        "does not answer: OSError: gone.",
        "answers again",
        "accepts no more connections: OSError: why.",
        "takes connections again",
        "is read-only: OSError: why.",
        "takes writes again",
        "has no space left: OSError: why.",
        "has space again",
        "cannot execute statements: OSError: why.",
        "executes statements again",
    ]


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
@pytest.mark.parametrize("driver", ["aiomysql", "asyncmy"])
async def test_nothing_reveals_the_password(
    log: pytest.LogCaptureFixture, scheme: str, driver: Literal["aiomysql", "asyncmy"]
) -> None:
    url = f"{scheme}://someone:{SECRET}@127.0.0.1:{free_port()}/shop"
    tortoise = LibraryConfig(DB_URL=url, DB_DRIVER=driver).tortoise()
    tortoise["apps"] = {"library": {"models": ["tests.db.library"], "default_connection": "default"}}
    async with TortoiseContext() as context:
        logging.getLogger("tortoise").setLevel(logging.DEBUG)
        await context.init(config=tortoise)
        with pytest.raises(DatabaseUnavailable) as excinfo:
            await get_connection("default").execute_query("SELECT 1")
    logging.getLogger("tortoise").setLevel(logging.NOTSET)
    shown = "".join(traceback.format_exception(excinfo.value)) + repr(excinfo.value)
    for record in log.records:
        shown += record.getMessage() + str(record.args)
    assert SECRET not in shown
    assert "127.0.0.1" in shown
