"""A full disk costs no request and no flood, and what is lost is counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sanicbase.testing import wait_until
from tests.log.programs import Program, all_lines, numbers

LOST = re.compile(r" sanicbase\.log - - (\d+) log lines were dropped while (\S+) could not be written: (.+)\.$")
# As much as a process may write to a file; beyond it a write fails as on a full disk, after a part was written.
LIMIT = "import resource; limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1)); "


class Disk(NamedTuple):
    """A small disk: where, what to tell a program at first, and how it gets more room."""

    folder: Path
    before: str
    make_room: Callable[[Program], object]


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limit":
        room = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, -1))"
        yield Disk(tmp_path, f"{LIMIT}limit(100_000)", lambda program: program.do(room))
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(tmp_path)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this account may not mount a disk")
    try:
        (tmp_path / "filler").write_bytes(bytes(16_000_000))
        yield Disk(tmp_path, "pass", lambda _: (tmp_path / "filler").unlink())
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_writing_resumes_and_every_line_is_there_or_counted(disk: Disk) -> None:
    log = disk.folder / "shop" / "run.log"
    with Program(disk.folder) as program:
        program.wait_ready().do(disk.before)
        # 200 bytes each: the disk holds a few hundred, the backlog twenty thousand.
        program.do("lines('full', 40_000, size=100); flush_logging()")
        assert_whole(log)
        program.do("lines('still', 100); flush_logging()")
        assert_whole(log)
        disk.make_room(program)
        program.do("lines('later', 10)")
        match = wait_until(lambda: LOST.search(log.read_text().strip()), what="the count of the lost")
        code, errors = program.end()
    assert code == 0
    assert match is not None
    assert match[2] == "run.log"
    present = numbers([line for line in all_lines(log.parent) if not LOST.search(line)])
    assert present["still"] == list(range(100))  # the newest lines were kept
    assert present["later"] == list(range(10))
    assert len(present["full"]) + int(match[1]) == 40_000
    assert len(errors.splitlines()) == 1, errors
    assert f"{log} cannot be written: {match[3]}." in errors


def assert_whole(log: Path) -> None:
    """Between two attempts to write, the file ends with a whole line."""
    text = wait_until(lambda: text if (text := log.read_text()).endswith(" end\n") else "", what="a whole line")
    numbers(text.splitlines())
