"""`server.py FOLDER`: listens on FOLDER/socket, and forks for each program; ends when its standard input does."""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from select import select
from types import ModuleType
from typing import Any

import aerich.cli
import aerich.migrate

import sanicbase
import sanicbase.cli
import sanicbase.migrations

Program = Callable[[], object]

# What the tests of a project begin with.
PYTEST = ("pytest", "pytest_asyncio.plugin", "pytest_timeout", "pytest_randomly", "xdist.plugin", "anyio.pytest_plugin")


def serve(folder: Path) -> Program:
    """Serve until nobody is there any more. Returns in the process of each program, which is to run it."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for sessions
        while listening in select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                return session(connection)
            connection.close()
    shutil.rmtree(folder)
    sys.exit()


def session(connection: socket.socket) -> Program:
    """Fork for the program, and tell the client how it ended. Returns in the program's process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, (*streams, folder), _, _ = socket.recv_fds(connection, 4, 4)
    with connection.makefile("rb") as received:
        asked = json.loads(received.read(int.from_bytes(length, "big")))
    if (pid := os.fork()) == 0:
        connection.close()
        os.fchdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    for each in (*streams, folder):
        os.close(each)
    if pid == 0:
        return program(**asked)
    ended = threading.Event()
    threading.Thread(target=kill_without_client, args=(connection, pid, ended), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended.set()
    connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def kill_without_client(connection: socket.socket, pid: int, ended: threading.Event) -> None:
    """A client that gave up takes its program with it."""
    connection.recv(1)  # it says nothing more, so this is its end
    if not ended.is_set():
        os.kill(pid, signal.SIGKILL)


def program(words: list[str], env: dict[str, str]) -> Program:
    """What the words say, in a process that looks as if it had begun with them."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[0] = "" if words[0] in ("-c", "-m") else str(Path(sys.executable).parent)
    main: Any = ModuleType("__main__")
    sys.modules["__main__"] = main
    match words:
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            return lambda: exec(compile(code, "<string>", "exec"), main.__dict__)
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            return lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)
        case _:
            sys.argv = words
            return aerich.cli.main


def preload() -> None:
    """Import the library and its commands, and take what there is now out of the garbage collector's sight.

    Else each program would end by looking all of it through, which takes longer than most commands.
    """
    for name in sanicbase.__all__:
        getattr(sanicbase, name)
    for name in PYTEST:
        import_module(name)
    for package in (sanicbase.cli, sanicbase.migrations):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    preload()
    serve(Path(sys.argv[1]))()
