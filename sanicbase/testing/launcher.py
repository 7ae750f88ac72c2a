"""Starting processes that do not outlive the tests, in private directories."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from filelock import lock_descriptor

__all__ = ["Account", "launch", "private_directory", "unprivileged_account"]

# Short, because the path of a socket has a limit of about a hundred bytes.
_BASE = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108
# Files in memory cost a third of the processor time, and nothing is left of them when the machine fails. The servers of
# a few test processes need much less than this number of bytes.
_MEMORY = Path("/dev/shm")  # noqa: S108
_MIN_MEMORY = 8 * 1024**3
# Reserved: a directory with this prefix whose owner has ended is removed.
_PREFIX = "sanicbase-test-"
_MIN_AGE = 60.0

# Runs in the new process and becomes the command. The order matters: changing the account clears the parent-death
# signal, and a parent that died before the signal was requested is detected by its changed pid. Python ignores SIGPIPE
# and SIGXFSZ, and a background job of a shell ignores SIGINT; the command would inherit this.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, death, uid, gid, *command = sys.argv[1:]
libc = ctypes.CDLL(None)
if uid:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    libc.prctl(1, int(death), 0, 0, 0)
if os.getppid() != int(parent):
    os._exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(command[0], command)
"""


class Account(NamedTuple):
    """An account of the machine: its user and group ids."""

    uid: int
    gid: int


def unprivileged_account(*names: str) -> Account | None:
    """Return the first of these accounts that exists if this process runs as root, None otherwise.

    Raises LookupError when this process runs as root and none exists.
    """
    if os.geteuid() != 0:
        return None
    for name in names:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise LookupError(f"Root needs one of these accounts to run the server as: {', '.join(names)}.")


def launch(
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    env: Mapping[str, str],
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a new session and process group, and append its output to `log`.

    On Linux, the kernel sends it `death_signal` when this process ends, even by kill -9; its children are not affected.
    On other systems, a killed test run may leave it running.
    """
    uid, gid = map(str, account) if account else ("", "")
    options = [str(os.getpid()), str(int(death_signal)), uid, gid]
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *options, *command]
    with log.open("ab") as output:
        return _starter().submit(_start, launcher, directory, output.fileno(), dict(env)).result()


def _start(launcher: list[str], directory: Path, output: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        launcher,
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@cache
def _starter() -> ThreadPoolExecutor:
    # The parent-death signal depends on the thread that started the process, so one permanent thread starts them all.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sanicbase-starter")


@contextmanager
def private_directory(account: Account | None = None, *, in_memory: bool = False) -> Iterator[Path]:
    """Yield a new directory that only `account`, by default that of this process, can enter. It is removed at the end.

    With `in_memory`, its files are kept in memory where /dev/shm has 8 GiB free. Directories that killed test runs left
    behind are removed as well.
    """
    base = _MEMORY if in_memory and _has_room(_MEMORY) else _BASE
    _remove_abandoned(base)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    with _locked(directory):
        try:
            if account:
                os.chown(directory, account.uid, account.gid)
            yield directory
        finally:
            shutil.rmtree(directory)


def _has_room(base: Path) -> bool:
    try:
        return os.access(base, os.W_OK) and shutil.disk_usage(base).free >= _MIN_MEMORY
    except OSError:
        return False


def _remove_abandoned(base: Path) -> None:
    # The owner of a directory holds its lock. A new directory may not be locked yet.
    for directory in base.glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(directory, blocking=False) as is_locked:
            if is_locked and time.time() - directory.stat().st_mtime > _MIN_AGE:
                shutil.rmtree(directory)


@contextmanager
def _locked(directory: Path, *, blocking: bool = True) -> Iterator[bool]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield lock_descriptor(handle, blocking=blocking)
    finally:
        os.close(handle)
