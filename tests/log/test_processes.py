"""Several processes, one log: nothing is lost, nothing is torn."""

from __future__ import annotations

import re
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sanicbase.log.rotation import rotated_files
from sanicbase.testing import wait_until
from tests.log.programs import Program, all_lines, count, numbers

EACH = 10_000
# The hour's name goes on to the tenth of a second, so that an hour is as short.
SHORT_HOURS = (
    "from sanicbase.log.rotation import Rotation; from datetime import datetime as d; usual = Rotation._label; "
    "Rotation._label = lambda r, p, m: f'{usual(r, p, m)}-{int(m * 10)}' if p.endswith('H') else usual(r, p, m)"
)


@pytest.mark.parametrize(
    ("settings", "before", "pause"),
    [
        ({"LOG_ROTATION": "size", "LOG_MAX_SIZE": 300_000, "LOG_KEEP": 1000, "LOG_COMPRESS": "true"}, "pass", 0),
        ({"LOG_ROTATION": "hour", "LOG_KEEP": 1000}, SHORT_HOURS, 0.0001),
    ],
    ids=["size", "time"],
)
def test_four_processes_lose_and_tear_nothing_while_files_rotate(
    tmp_path: Path, settings: dict[str, Any], before: str, pause: float
) -> None:
    with ExitStack() as stack:
        programs = [stack.enter_context(Program(tmp_path, **settings)) for _ in range(4)]
        for program in programs:
            program.wait_ready().do(before)
        for mark, program in enumerate(programs):
            program.begin(f"lines('p{mark}', {EACH}, {pause}); requests('p{mark}', {EACH})")
        for program in programs:
            assert program.done().end() == (0, "")
    folder = tmp_path / "shop"
    assert len(rotated_files(folder / "run.log")) > 5
    assert numbers(all_lines(folder)) == {f"p{mark}": list(range(EACH)) for mark in range(4)}
    requests = [
        re.fullmatch(r"\S+ \S+ 10\.0\.0\.1 GET /(p\d)/(\d+) 200 \2 1\.5ms - -", line)
        for line in all_lines(folder, "access.log")
    ]
    assert sorted((match[1], int(match[2])) for match in requests if match) == [
        (f"p{mark}", number) for mark in range(4) for number in range(EACH)
    ]
    assert len(requests) == 4 * EACH
    if "LOG_MAX_SIZE" in settings:
        assert max(path.stat().st_size for path in folder.glob("*.log")) <= 300_000


def test_a_removed_folder_is_made_again_and_loses_no_later_line(tmp_path: Path) -> None:
    with Program(tmp_path) as one, Program(tmp_path) as two:
        for program in (one, two):
            program.wait_ready().do("lines('before', 10); flush_logging()")
        for program in (one, two):
            program.begin("lines('meanwhile', 2000, 0.0001)")
        shutil.rmtree(tmp_path / "shop")
        for mark, program in enumerate((one, two)):
            program.done().do(f"lines('after{mark}', 3000); logger.error('line error{mark} 0 end')")
            assert program.end() == (0, "")
    written = numbers(all_lines(tmp_path / "shop"))
    assert written["after0"] == written["after1"] == list(range(3000))
    assert "before" not in written
    assert numbers(all_lines(tmp_path / "shop", "error.log")).keys() == {"error0", "error1"}


def test_a_file_moved_by_another_program_is_recreated(tmp_path: Path) -> None:
    with Program(tmp_path, LOG_ROTATION="off") as program:
        program.wait_ready().do("lines('a', 5); flush_logging()")
        log = tmp_path / "shop" / "run.log"
        log.rename(tmp_path / "moved")
        program.do("lines('b', 5); flush_logging()")
        assert numbers((tmp_path / "moved").read_text().splitlines()) == {"a": list(range(5))}
        assert numbers(all_lines(log.parent)) == {"b": list(range(5))}


def test_a_killed_process_tears_no_line_of_the_others(tmp_path: Path) -> None:
    with Program(tmp_path, cold=True) as killed, Program(tmp_path) as other:
        for program in (killed, other):
            program.wait_ready()
        killed.begin("lines('killed', 1000000)")
        other.begin("lines('other', 5000)")
        log = tmp_path / "shop" / "run.log"
        wait_until(lambda: "line killed" in log.read_text(), what="a line of the process to be killed")
        killed.process.kill()
        other.done()
        # As if it had been killed in the middle of a write.
        with log.open("a") as file:
            file.write("2026-11-23T00:00:00.000+00:00 INFO half a li")
        assert other.do("lines('later', 10)").end() == (0, "")
    written = numbers(all_lines(log.parent))
    assert written["other"] == list(range(5000))
    assert written["later"] == list(range(10))
    assert written["killed"] == list(range(len(written["killed"])))


def test_an_error_is_written_to_the_file_without_a_flush(tmp_path: Path) -> None:
    with Program(tmp_path) as program:
        program.wait_ready().do("lines('a', 3); logger.error('line b 0 end')")
        wait_until(lambda: count(tmp_path / "shop") == 4 and count(tmp_path / "shop", "error.log"), what="the lines")
        assert numbers(all_lines(tmp_path / "shop", "error.log")) == {"b": [0]}


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit(0)",
        "import atexit; atexit.register(lambda: lines('last', 1)); lines('a', 100); sys.exit(0)",
        "import threading; threading.Thread(target=lines, args=('a', 100, 0.001)).start(); sys.exit(0)",
    ],
)
def test_a_process_that_ends_has_written_everything(tmp_path: Path, ending: str) -> None:
    with Program(tmp_path, cold=True) as program:
        program.wait_ready().begin(f"lines('b', 5000); requests('b', 5000); {ending}")
        assert program.end() == (0, "")
    written = numbers(all_lines(tmp_path / "shop"))
    assert written.pop("b") == list(range(5000))
    assert list(written) == [mark for mark in ("a", "last") if f"'{mark}'" in ending]
    assert len(all_lines(tmp_path / "shop", "access.log")) == 5000


def test_a_stopped_program_has_written_everything(tmp_path: Path) -> None:
    """As a worker does: SIGTERM ends its event loop, and it leaves."""
    serve = (
        "import asyncio, signal\n"
        "async def serve():\n"
        "    told = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)\n"
        "    lines('serving', 1)\n"
        "    await told.wait()\n"
        "    lines('stopping', 3000)\n"
        "asyncio.run(serve()); sys.exit(0)"
    )
    with Program(tmp_path, cold=True) as program:
        program.wait_ready().begin(f"exec({serve!r})")
        wait_until(lambda: count(tmp_path / "shop"), what="the program's first line")
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == (0, "")
    assert numbers(all_lines(tmp_path / "shop"))["stopping"] == list(range(3000))


FORKED = """
lines('parent', 3)
child = os.fork()
if not child:
    lines('child', 3)
    flush_logging()
    os._exit(0)
os.waitpid(child, 0)
"""
BY_MULTIPROCESSING = """
import multiprocessing
lines('parent', 3)
child = multiprocessing.get_context('fork').Process(target=lines, args=('child', 3))
child.start(); child.join()
"""


@pytest.mark.parametrize("code", [FORKED, BY_MULTIPROCESSING], ids=["os.fork", "multiprocessing"])
def test_a_forked_child_writes_its_own_lines_and_not_the_parents(tmp_path: Path, code: str) -> None:
    with Program(tmp_path) as program:
        # A fork beside another thread is what Python warns of, and what is meant here.
        program.wait_ready().do(f"import warnings; warnings.simplefilter('ignore'); exec({code!r})")
        assert program.end() == (0, "")
    assert numbers(all_lines(tmp_path / "shop")) == {"parent": [0, 1, 2], "child": [0, 1, 2]}


def test_an_unread_stderr_blocks_no_request(tmp_path: Path) -> None:
    with Program(tmp_path, LOG_CONSOLE="true") as program:
        program.wait_ready().do("lines('a', 5000, size=100)")  # eight times what the pipe holds
        wait_until(lambda: count(tmp_path / "shop") == 5000, what="the lines in the file")
        code, shown = program.end()
    assert code == 0
    assert len(shown.splitlines()) > 100
