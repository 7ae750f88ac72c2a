"""Commands whose processes begin with everything imported, for tests that start hundreds of them.

Importing sanicbase, Tortoise and aerich is nine tenths of a short command's time. So one process imports them and forks
for each command (as multiprocessing's forkserver does); what the command then does, it does in a process of its own,
with its own folder, environment, standard streams and status.
"""

from __future__ import annotations

import atexit
import ctypes
import marshal
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sanicbase.testing import ServiceProcess

__all__ = ["PreloadedService", "preloaded", "programs"]

HERE = Path(__file__).parent
PR_SET_CHILD_SUBREAPER = 36
adopting = threading.Lock()


def preloaded(*args: str, before: str = "") -> list[str]:
    """A command line that does what `python *args` does: `-c CODE`, `-m MODULE`, `FILE.py`; or `aerich *args`.

    It ends when everything that the program started has ended (Linux). What the command starts is a client of the
    program: signals are for the latter's own process. `before` is code that this process runs first.
    """
    first = ("--before", before) if before else ()
    return [sys.executable, "-I", "-S", str(HERE / "client.py"), str(_server() / "socket"), *first, *args]


def programs() -> Path:
    """A folder with an `aerich` for the shell's PATH."""
    folder = _server() / "bin"
    if not folder.exists():
        folder.mkdir()
        file = folder / "aerich"
        file.write_text(f'#!/bin/sh\nexec {shlex.join(preloaded("aerich"))} "$@"\n')
        file.chmod(0o755)
    return folder


class PreloadedService(ServiceProcess):
    """A service whose main process begins with everything imported, for tests whose subject is not how it starts.

    It is a child of this process, as any other is: signals are sent to it, it has a session of its own, and ends with
    this process. Only its command line in /proc is the server's. Elsewhere than on Linux, and with another command than
    `python FILE.py` or `python -m MODULE`, it imports everything itself.
    """

    def _start(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        python, *args = self.command
        is_program = python == sys.executable and (args[0] == "-m" or args[0].endswith(".py"))
        if sys.platform != "linux" or not is_program:
            return super()._start(env)
        return _Handed(args, folder=self.directory, log=self._log, env=env)


class _Handed(subprocess.Popen[bytes]):
    """A program that the server has forked, and which the kernel has then given to this process."""

    def __init__(self, args: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str]) -> None:
        self._wanted = {"args": args, "env": dict(env), "parent": os.getpid()}
        self._folder, self._log = folder, log
        super().__init__(args)

    def _execute_child(self, *_: Any) -> None:
        """Called by Popen, in the place of a fork."""
        prctl = ctypes.CDLL(None).prctl
        with (
            adopting,
            socket.socket(socket.AF_UNIX) as connection,
            self._log.open("ab") as output,
            Path(os.devnull).open() as none,
        ):
            connection.connect(str(_server() / "socket"))
            payload = marshal.dumps(self._wanted)
            folder = os.open(self._folder, os.O_RDONLY)
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                streams = [none.fileno(), output.fileno(), output.fileno()]
                socket.send_fds(connection, [len(payload).to_bytes(4, "big")], [*streams, folder])
                connection.sendall(payload)
                self.pid = int(connection.recv(20))
            finally:
                prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
                os.close(folder)
        self._child_created = True


@cache
def _server() -> Path:
    """The folder of this process's server, which ends when this process does: its standard input is closed then."""
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    command = [sys.executable, str(HERE / "server.py"), str(folder)]
    env = os.environ | {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("PYTHONUNBUFFERED", None)  # a program whose environment has it writes at once
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd="/")
    atexit.register(started.communicate)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return folder
