"""`server.py FOLDER`: listens on FOLDER/socket, and forks for each program; ends when its standard input does."""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import marshal
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
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from select import select
from types import ModuleType
from typing import Any, cast

Program = Callable[[], object]

LIBRARY = ("sanicbase", "sanicbase.cli", "sanicbase.migrations", "aerich.cli", "aerich.migrate")
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
    """Fork for the program, and tell the client how it ended, once nothing that it started runs any more.

    Returns in the program's process.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, (*streams, folder), _, _ = socket.recv_fds(connection, 4, 4)
    with connection.makefile("rb") as received:
        command = marshal.loads(received.read(int.from_bytes(length, "big")))
    parent = command.pop("parent", None)
    if parent is None:
        adopt_orphans()
    elif os.fork() != 0:
        os.wait()
        os._exit(0)
    server_pid = os.getpid()
    if (pid := os.fork()) == 0:
        os.fchdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    for descriptor in (*streams, folder):
        os.close(descriptor)
    if pid == 0:
        if parent is not None:
            become_child_of(parent, instead_of=server_pid)
            connection.sendall(b"%d" % os.getpid())
        connection.close()
        return program(**command)
    if parent is not None:
        os._exit(0)
    ended = threading.Event()
    threading.Thread(target=kill_without_client, args=(connection, pid, ended), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(ChildProcessError):  # there are none any more
        while True:
            os.wait()
    ended.set()
    connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def adopt_orphans() -> None:
    """Have the processes whose parent ends become children of this one (Linux; elsewhere they are not waited for)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def become_child_of(parent: int, *, instead_of: int) -> None:
    """Wait until the kernel has given this process to the one that asked for it, and end with that (Linux)."""
    while os.getppid() == instead_of:
        time.sleep(0.001)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    libc.prctl(15, b"python", 0, 0, 0)  # PR_SET_NAME
    signal.signal(signal.SIGINT, signal.default_int_handler)


def kill_without_client(connection: socket.socket, pid: int, ended: threading.Event) -> None:
    """A client that gave up takes its program with it."""
    connection.recv(1)  # it says nothing more, so this is its end
    if not ended.is_set():
        os.kill(pid, signal.SIGKILL)


def program(args: list[str], env: dict[str, str]) -> Program:
    """The program of this command line, in a process that looks as if it had started with it."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[:1] = [folder_of_modules(args[0]), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in env
    if "PYTHONUNBUFFERED" in env:
        sys.stdout = io.TextIOWrapper(open(1, "wb", 0, closefd=False), write_through=True)  # noqa: SIM115
    sys.orig_argv = [sys.executable, *args]
    main: Any = ModuleType("__main__")
    sys.modules["__main__"] = main
    match args:
        case ["--before", code, *rest]:
            exec(code, {})
            return program(rest, env)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            return lambda: exec(compile(code, "<string>", "exec"), main.__dict__)
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            return lambda: runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [file, *_] if file.endswith(".py"):
            sys.argv = args
            return lambda: runpy.run_path(file, run_name="__main__")
        case _:
            sys.argv = args
            return cast(Program, import_module("aerich.cli").main)


def folder_of_modules(word: str) -> str:
    """Where Python looks first for what it imports, by the first word after `python`."""
    if word in ("-c", "-m"):
        return ""
    return str(Path(word if word.endswith(".py") else sys.executable).parent)


def preload() -> None:
    """Import the library and its commands, and take what there is now out of the garbage collector's sight.

    Else each program would end by looking all of it through, which takes longer than most commands.
    """
    for name in (*LIBRARY, *PYTEST):
        import_module(name)
    library, *packages = (sys.modules[name] for name in LIBRARY[:3])
    for name in library.__all__:
        getattr(library, name)
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    gc.collect()
    gc.freeze()


class Ending:
    """The end of a program, without taking apart everything that was imported, which takes longer than most commands.

    Its last step is a function of atexit: by then the threads have ended, and what the program registered was called.
    What the program itself has left is collected, so its finalizers run and say what they have to say.
    """

    def __init__(self) -> None:
        self._status: int | None = None
        atexit.register(self._end)  # before all others, so that it is called last

    def run(self, program: Program) -> None:
        try:
            program()
            self._status = 0
        except SystemExit as exc:
            self._status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
            raise
        except Exception:
            self._status = 1
            raise

    def _end(self) -> None:
        if self._status is None:  # an interrupt, which ends the process by its signal
            return
        sys.modules["__main__"].__dict__.clear()
        gc.collect()
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):  # Python flushes again, and says what failed
            return
        os._exit(self._status)


if __name__ == "__main__":
    ending = Ending()
    preload()
    ending.run(serve(Path(sys.argv[1])))
