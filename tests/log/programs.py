"""Programs that log, as processes of their own, told over stdin what to do next."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from sanicbase.log.rotation import rotated_files
from tests.preloaded import preloaded

ROOT = Path(__file__).parents[2]

PROGRAM = """
import logging, os, sys, time
from sanicbase import Config
from sanicbase.log import *

class ShopConfig(Config):
    SERVER_NAME = "shop"

logger = logging.getLogger("shop")

def lines(mark, count, pause=0.0, size=0):
    for number in range(count):
        logger.info("line %s %d%s end", mark, number, " " + "x" * size if size else "")
        if pause:
            time.sleep(pause)

def requests(mark, count):
    for number in range(count):
        log_access("10.0.0.1", "GET", f"/{mark}/{number}", 200, number, 1.5)

setup_logging(ShopConfig())
print("ready", flush=True)
for command in sys.stdin:
    exec(command)
    print("done", flush=True)
"""


class Program:
    """A process of the service `shop`, whose logs are in `folder / "shop"`. The `with` block leaves none behind.

    A `cold` one imports everything itself, gets the signals that are sent to `process`, and ends as its users' do.
    """

    def __init__(self, folder: Path, *, cold: bool = False, **settings: object) -> None:
        self.folder = folder / "shop"
        self._command = [sys.executable, "-c", PROGRAM] if cold else preloaded("-c", PROGRAM)
        options = {"LOG_DIR": folder, "LOG_CONSOLE": "false", "LOG_COMPRESS": "false", **settings}
        # `sanicbase` and `tests` are found, `.env` is not.
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), **{f"SHOP_{name}": str(options[name]) for name in options}}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            cwd=self.folder.parent,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_ready(self) -> Self:
        """Return when its log is set up."""
        return self._answer("ready")

    def begin(self, command: str) -> None:
        """Tell it to run a line of Python."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def do(self, command: str) -> Self:
        """Have it run a line of Python, and return when it has."""
        self.begin(command)
        return self.done()

    def done(self) -> Self:
        """Return when it has run the line it was told."""
        return self._answer("done")

    def end(self) -> tuple[int, str]:
        """Let it end by itself; return its exit code and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def _answer(self, expected: str) -> Self:
        assert self.process.stdout is not None
        if (answer := self.process.stdout.readline().strip()) != expected:
            self.process.kill()
            raise AssertionError(f"{answer!r} instead of {expected!r}: {self.process.communicate()[1]}")
        return self


def all_lines(folder: Path, name: str = "run.log") -> list[str]:
    """The lines of a log with its older files, the oldest first; the last one must be whole."""
    text = ""
    for path in [*rotated_files(folder / name), folder / name]:
        if path.exists():
            text += gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    assert text.endswith("\n") or not text
    return text.splitlines()


def count(folder: Path, name: str = "run.log") -> int:
    """How many lines a log has now; its last one may be on its way."""
    return (folder / name).read_text().count("\n")


def numbers(lines: list[str]) -> dict[str, list[int]]:
    """What each mark counted, in the order of the lines; a line of another form is an error."""
    by_writer: dict[str, list[int]] = {}
    for line in lines:
        assert line.endswith(" end"), line
        before, mark, number = line.removesuffix(" end").split(" x", 1)[0].rsplit(" ", 2)
        assert before.endswith(" line"), line
        by_writer.setdefault(mark, []).append(int(number))
    return by_writer
