"""Jobs that a process of a pool imports and runs. Each notes in a file which process runs it."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from sanicbase import current_job, job

__all__ = ["compute", "die", "fail", "hang", "runs"]


def _note(file: str) -> None:
    with Path(file).open("a", encoding="utf-8") as notes:
        notes.write(f"{current_job().name} {current_job().attempt} {os.getpid()}\n")


def runs(file: Path) -> list[tuple[str, int, int]]:
    """The job, the attempt and the process of each run that has begun."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [(name, int(attempt), int(pid)) for name, attempt, pid in map(str.split, lines)]


@job(process=True, name="compute", keep_result="1h")
def compute(file: str, count: int) -> dict[str, int]:
    """The sum, and the process that has computed it."""
    _note(file)
    logging.getLogger("shop").info("Computing for password=hunter2: %d", count)
    return {"sum": sum(range(count)), "pid": os.getpid()}


@job(process=True, name="fail", retries=0)
def fail(file: str) -> None:
    """Raise an exception."""
    _note(file)
    raise LookupError("password=hunter2 is wrong")


@job(process=True, name="die", retries=1, backoff=[0.01])
def die(file: str) -> None:
    """End the process in the first run."""
    _note(file)
    if current_job().attempt == 1:
        os._exit(7)


@job(process=True, name="hang", retries=1, backoff=[0.01], timeout=600)
def hang(file: str) -> None:
    """Not return in the first run, and note the end of the second one."""
    _note(file)
    if current_job().attempt == 1:
        time.sleep(600)
