"""What an access line costs: ours against Sanic's own access log into a rotating file.

    python benchmarks/log_access.py [rounds]

Each contender runs in a process of its own, in random order, several rounds. CPU is that of the whole process, writer
thread and last flush included, from the finished request to the line in the file. `steady` logs 50 lines every
10 ms, as a busy worker does, `burst` all lines at once. Figures are medians; what counts are the ratios.
"""

from __future__ import annotations

import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LINES = 20_000
AT_ONCE = 50  # lines
PAUSE = 0.01  # seconds
CONTENDERS = ("sanic", "sanicbase text", "sanicbase json")
PACES = ("steady", "burst")

Answer = Callable[[Any, Any, float], None]


def main(rounds: int) -> None:
    """Run every contender `rounds` times at each pace, and print the table."""
    runs = [(contender, pace) for contender in CONTENDERS for pace in PACES] * rounds
    random.shuffle(runs)
    cost: dict[tuple[str, str], list[float]] = {}
    for contender, pace in runs:
        result = subprocess.run(
            [sys.executable, __file__, contender, pace], capture_output=True, text=True, check=True, env=_environment()
        )
        cost.setdefault((contender, pace), []).append(float(result.stdout))
    for pace in PACES:
        base = statistics.median(cost["sanic", pace])
        for contender in CONTENDERS:
            mine = statistics.median(cost[contender, pace])
            print(f"{pace:7} {contender:15} {mine * 1e6:6.2f} µs a line   {mine / base:5.3f} of Sanic's")


def measure(contender: str, pace: str) -> float:
    """The CPU seconds of one line."""
    with tempfile.TemporaryDirectory() as folder:
        answer, finish = _sanic(Path(folder)) if contender == "sanic" else _sanicbase(Path(folder), contender[-4:])
        _run(answer, 1000, "burst")
        finish()
        begun = time.process_time()
        _run(answer, LINES, pace)
        finish()
        spent = time.process_time() - begun
        lines = sum(path.read_text().count("\n") for path in Path(folder).rglob("access.log*"))
        assert lines == LINES + 1000, lines
    return (spent - (_cost_of_pauses() if pace == "steady" else 0.0)) / LINES


def _run(answer: Answer, lines: int, pace: str) -> None:
    headers = {"content-length": 431}
    request = SimpleNamespace(
        ip="10.1.2.3",
        client_ip="10.1.2.3",
        port=51234,
        method="GET",
        path="/xi_test/articles/17",
        url="http://127.0.0.1:8800/xi_test/articles/17",
    )
    response = SimpleNamespace(status=200, headers=headers)
    for number in range(lines):
        answer(request, response, time.perf_counter() - 0.0012)
        if pace == "steady" and number % AT_ONCE == 0:
            time.sleep(PAUSE)


def _cost_of_pauses() -> float:
    begun = time.process_time()
    _run(lambda request, response, started: None, LINES, "steady")
    return time.process_time() - begun


def _sanic(folder: Path) -> tuple[Answer, Callable[[], object]]:
    """Sanic's own method that logs a response, its own production formatter, the standard library's handler."""
    from sanic.http.http1 import Http
    from sanic.logging.formatter import ProdAccessFormatter

    handler = RotatingFileHandler(folder / "access.log", maxBytes=100 * 1024 * 1024, backupCount=14)
    handler.setFormatter(ProdAccessFormatter())
    logger = logging.getLogger("sanic.access")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    protocol = SimpleNamespace(transport=None)

    def answer(request: Any, response: Any, started: float) -> None:
        http: Any = SimpleNamespace(request=request, response=response, protocol=protocol, perft0=started)
        Http.log_response(http)

    return answer, handler.flush


def _sanicbase(folder: Path, form: Any) -> tuple[Answer, Callable[[], object]]:
    """What the response hook does."""
    from sanicbase import Config
    from sanicbase.log import flush_logging, log_access, set_log_context, setup_logging

    class BenchConfig(Config):
        SERVER_NAME = "bench"

    setup_logging(BenchConfig(LOG_DIR=folder, LOG_FORMAT=form, LOG_CONSOLE=False), process="http")

    def answer(request: Any, response: Any, started: float) -> None:
        set_log_context(request_id="5b0e2f6c-3f2c-4b57-9f7e-0a3c5d1f9e11", user="17")
        size = response.headers.get("content-length")
        spent = (time.perf_counter() - started) * 1000
        log_access(request.ip, request.method, request.path, response.status, size, spent)

    return answer, flush_logging


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root}


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in CONTENDERS:
        print(measure(sys.argv[1], sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
