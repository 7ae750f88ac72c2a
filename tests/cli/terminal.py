"""A pseudo-terminal: keys go in, the screen comes out."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Self

from tests.cli.conftest import Folder

ENTER, UP, DOWN, SPACE, CTRL_C, CTRL_D = "\r", "\x1b[A", "\x1b[B", " ", "\x03", "\x04"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Terminal:
    """A terminal in which a command runs."""

    def __init__(self, folder: Folder, *args: str, program: Sequence[str] = ("-m", "sanicbase"), **env: str) -> None:
        self._main, other = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, *program, *args],
            cwd=folder.path,
            env=folder.env | {"TERM": "xterm", **env},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_become_foreground,
        )
        os.close(other)
        self.screen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._main)

    def expect(self, text: str, timeout: float = 60) -> None:
        """Wait until the screen shows the text, after what was expected before."""
        deadline = time.monotonic() + timeout
        while text not in self.screen:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.screen}"
            self._read(0.1)
        self.screen = self.screen.partition(text)[2]

    def type(self, *keys: str) -> None:
        for key in keys:
            os.write(self._main, key.encode())

    def end(self) -> int:
        """The status with which it ends."""
        deadline = time.monotonic() + 60
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.screen
            self._read(0.1)
        self._read(0)
        return self._process.returncode

    def _read(self, timeout: float) -> None:
        ready, _, _ = select.select([self._main], [], [], timeout)
        if ready:
            try:
                data = os.read(self._main, 65536)
            except OSError:  # the other end is closed
                return
            self.screen += ESCAPES.sub("", data.decode(errors="replace"))
            if b"\x1b[6n" in data:  # where is the cursor?
                os.write(self._main, b"\x1b[1;1R")


def _become_foreground() -> None:
    """Have the terminal send Ctrl-C to the new process."""
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
