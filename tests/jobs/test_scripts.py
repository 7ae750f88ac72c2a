from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sanicbase.testing import ExitReport, run_to_exit, wait_until
from tests.preloaded import PreloadedService, preloaded

CONFIG = """
from sanicbase import Config

class TinyConfig(Config):
    SERVER_NAME = "tiny"

config = TinyConfig()
"""

# A resource that says what happens to it; `say` writes one line at once, for a process may be killed any time, and its
# end with it, for the log goes to the same pipe.
LAUNCH_FILE = """
import asyncio
from sanicbase import get_redis, run_scripts
from tiny.config import config

def say(what):
    print(f"{what}\\n", end="", flush=True)

class Noting:
    name = "noting"

    async def __aenter__(self):
        say("opened")
        return self

    async def __aexit__(self, *exc):
        await asyncio.sleep(0.2)
        await get_redis().ping()  # what was opened before is open still
        say("closed")

    async def ping(self):
        say("pinged")

{scripts}

if __name__ == "__main__":
    run_scripts(config, scripts, resources=(Noting(),))
"""

BOTH = """
met = asyncio.Barrier(2)

async def one():
    await met.wait()
    await get_redis().set("key", "value")
    say("one")

async def two():
    await met.wait()
    say("two")

scripts = (one, two)
"""

ENDLESS = """
async def endless():
    try:
        say("runs")
        await asyncio.Event().wait()
    finally:
        say("is cancelled")
        await asyncio.sleep(0.3)
        await get_redis().set("key", "value")
        say("has tidied up")

async def short():
    say("short")

scripts = (endless, short)
"""

FAILING = """
from functools import partial

async def endless():
    try:
        await asyncio.Event().wait()
    finally:
        say("endless was cancelled")

async def failing(what):
    await asyncio.sleep(0.1)
    raise RuntimeError(what)

scripts = (endless, partial(failing, "this went wrong"))
"""

FAILING_WHEN_TOLD = """
async def endless():
    try:
        say("runs")
        await asyncio.Event().wait()
    finally:
        raise RuntimeError("tidying up went wrong")

scripts = (endless,)
"""

NONE = "scripts = ()"

Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A service of nothing but scripts, written by their text."""
    (tmp_path / "tiny" / "config").mkdir(parents=True)
    (tmp_path / "tiny" / "__init__.py").touch()
    (tmp_path / "tiny" / "config" / "__init__.py").write_text(CONFIG)

    def write(scripts: str) -> Path:
        launch_file = tmp_path / "srv_tiny.py"
        launch_file.write_text(LAUNCH_FILE.replace("{scripts}", scripts))
        return launch_file

    return write


def run(launch_file: Path, *, cold: bool = False) -> ExitReport:
    """Run it to its end; a `cold` one imports everything itself."""
    return run_to_exit(launch_file, command=None if cold else preloaded(str(launch_file)), prefix="TINY_")


def assert_in_order(output: str, *args: str) -> None:
    lines = [line for line in output.splitlines() if line in args]
    assert lines == list(args), output


def log(launch_file: Path) -> str:
    return (launch_file.parent / "logs" / "tiny" / "run.log").read_text()


def test_scripts_run_side_by_side_inside_the_lifespan(written: Written) -> None:
    report = run(written(BOTH))
    assert report.code == 0, report.output
    for name in ("one", "two"):
        assert_in_order(report.output, "opened", "pinged", name, "closed")


def test_no_scripts_end_at_once(written: Written) -> None:
    report = run(written(NONE), cold=True)
    assert report.code == 0
    assert_in_order(report.output, "opened", "pinged", "closed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stop_lets_finally_run_and_closes_what_is_open(written: Written, number: signal.Signals) -> None:
    """However often it is told: a second signal comes from `timeout` and systemd, and from impatient people."""
    with PreloadedService(written(ENDLESS), prefix="TINY_") as process:
        wait_until(lambda: {"runs", "short"} <= set(process.output().splitlines()))
        process.pids()
        os.killpg(process.pid, number)
        wait_until(lambda: "is cancelled" in process.output())
        os.killpg(process.pid, number)
        wait_until(lambda: "has tidied up" in process.output())
        os.killpg(process.pid, number)
        assert process.wait() == 0
        wait_until(lambda: not process.survivors())
        assert_in_order(process.output(), "opened", "pinged", "runs", "is cancelled", "has tidied up", "closed")
        assert "Traceback" not in process.output()


def test_failure_cancels_the_others_and_is_logged(written: Written) -> None:
    launch_file = written(FAILING)
    report = run(launch_file)
    assert report.code == 1
    assert_in_order(report.output, "opened", "pinged", "endless was cancelled", "closed")
    for text in (report.output, log(launch_file)):
        assert text.count("RuntimeError: this went wrong") == 1
        assert "Traceback (most recent call last)" in text
        assert "failing" in text


def test_failure_while_it_stops_is_logged_too(written: Written) -> None:
    launch_file = written(FAILING_WHEN_TOLD)
    with PreloadedService(launch_file, prefix="TINY_") as process:
        wait_until(lambda: "runs" in process.output().splitlines())
        assert process.terminate() == 1
        assert "closed" in process.output().splitlines()
    assert "RuntimeError: tidying up went wrong" in log(launch_file)


def test_stop_while_it_opens_leaves_nothing(written: Written) -> None:
    """At the moment when the resource has opened and the scripts are about to start."""
    with PreloadedService(written(ENDLESS), prefix="TINY_") as process:
        wait_until(lambda: "opened" in process.output())
        assert process.terminate() == 0
        wait_until(lambda: not process.survivors())
        assert "closed" in process.output().splitlines()
        assert "Traceback" not in process.output()


def test_killed_scripts_leave_nothing_behind(written: Written) -> None:
    with PreloadedService(written(ENDLESS), prefix="TINY_") as process:
        wait_until(lambda: "runs" in process.output())
        process.pids()
        assert process.kill() == -9
        wait_until(lambda: not process.survivors())
