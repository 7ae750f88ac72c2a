"""Commands whose processes begin with everything imported, for tests that start hundreds of them.

Importing sanicbase, Tortoise and aerich is nine tenths of a short command's time. So one process imports them and forks
for each command (as multiprocessing's forkserver does); what the command then does, it does in a process of its own,
with its own folder, environment, standard streams and status.
"""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["preloaded", "programs"]

HERE = Path(__file__).parent


def preloaded(*words: str) -> list[str]:
    """A command line that does what `python *words` does, whose words begin with `-c` or `-m`; or `aerich *words`."""
    return [sys.executable, "-I", "-S", str(HERE / "client.py"), str(_server() / "socket"), *words]


def programs() -> Path:
    """A folder with an `aerich` for the shell's PATH."""
    folder = _server() / "bin"
    if not folder.exists():
        folder.mkdir()
        file = folder / "aerich"
        file.write_text(f'#!/bin/sh\nexec {shlex.join(preloaded("aerich"))} "$@"\n')
        file.chmod(0o755)
    return folder


@cache
def _server() -> Path:
    """The folder of this process's server, which ends when this process does: its standard input is closed then."""
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    command = [sys.executable, str(HERE / "server.py"), str(folder)]
    env = os.environ | {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd="/")
    atexit.register(started.communicate)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return folder
