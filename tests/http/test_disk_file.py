"""An open file whose calls run in threads: nobody waits for a call that hangs, and none meets another file."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from sanicbase.http.files.disk import DiskFile


class Hanging:
    """A call that hangs, as on a disk that does not answer."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self, descriptor: int) -> int:
        self.began.set()
        self.go_on.wait(30)
        return os.fstat(descriptor).st_ino


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def test_a_cancelled_call_ends_by_itself_and_its_file_is_closed_after_it(tmp_path: Path) -> None:
    descriptor, call = os.open(tmp_path, os.O_RDONLY), Hanging()
    file = DiskFile(descriptor)
    task = asyncio.create_task(file.run(call))
    await asyncio.to_thread(call.began.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    file.close()
    assert is_open(descriptor), "its number could be another file's now"
    call.go_on.set()
    async with asyncio.timeout(30):
        while is_open(descriptor):
            await asyncio.sleep(0.01)


async def test_a_file_whose_opening_was_cancelled_is_closed(tmp_path: Path) -> None:
    opened: list[int] = []
    go_on, began = threading.Event(), threading.Event()

    def open_slowly() -> int:
        began.set()
        go_on.wait(30)
        opened.append(os.open(tmp_path, os.O_RDONLY))
        return opened[0]

    task = asyncio.create_task(DiskFile.open(open_slowly))
    await asyncio.to_thread(began.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    async with asyncio.timeout(30):
        while not opened or is_open(opened[0]):
            await asyncio.sleep(0.01)


async def test_an_error_of_a_call_is_its_callers_and_the_file_can_still_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    file = DiskFile(os.open(tmp_path / "file", os.O_RDONLY))
    with pytest.raises(OSError, match="Bad file descriptor"):
        await file.run(os.write, b"x")
    assert await file.run(os.pread, 100, 0) == b"content"
    file.close()
    file.close()
