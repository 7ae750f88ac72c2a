"""Where the main processes of a project's services have their sockets.

Each has one of its own, `NAME.RANDOM.sock`, in a folder that is closed to other accounts. A socket is bound under
another name and renamed when it listens. So one that refuses connections has no process any more, and may be removed
at any time.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sanicbase.errors import ResourceError
from sanicbase.private_directory import (
    MAX_SOCKET_PATH,
    make_private_directory,
    ownership_problem,
    short_directory,
)

__all__ = ["candidates", "connect", "listening_socket", "running"]

FOLDER = "top"
SUFFIX, UNFINISHED = ".sock", ".tmp"
BACKLOG = 16
ABANDONED = 60.0  # seconds after which a socket that was never renamed is one of a killed process


@contextmanager
def listening_socket(private: Path, name: str) -> Iterator[socket.socket]:
    """A listening socket of the service of that name, below the project's private folder, or a short one in its place.
    It is removed at the end, as are those that killed processes have left. Raises ResourceError."""
    folder = _make_folder(private, name)
    _remove_stale(folder)
    path = folder / f"{name}.{secrets.token_hex(4)}{SUFFIX}"
    unfinished = path.with_suffix(UNFINISHED)
    listening = socket.socket(socket.AF_UNIX)
    try:
        try:
            listening.setblocking(False)
            listening.bind(str(unfinished))
            unfinished.chmod(0o600)
            listening.listen(BACKLOG)
            unfinished.rename(path)
        except OSError as exc:
            raise ResourceError(f"{path}: {exc.strerror or exc}") from exc
        yield listening
    finally:
        listening.close()
        for file in (path, unfinished):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def candidates(private: Path) -> list[Path]:
    """The folders in which the services of this project may have their sockets, with the private folder `private`."""
    accounts = {os.geteuid()}
    for path in (private, private.parent):
        with suppress(OSError):
            accounts.add(path.stat().st_uid)
    return [private / FOLDER, *(short_directory(private, account) / FOLDER for account in sorted(accounts))]


def running(folder: Path, service: str) -> list[Path]:
    """The sockets in the folder of the service's HTTP, WebSocket and script processes. Raises OSError."""
    names = {f"{service}_{kind}" for kind in ("http", "ws", "srv")}
    if ownership_problem(folder.lstat()) is not None and os.geteuid() != 0:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.name.split(".")[0] in names)


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to a socket, whose operations take at most that many seconds. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _make_folder(private: Path, name: str) -> Path:
    """The first folder of the two that fits, and that this account can use."""
    longest = f"{name}.00000000{SUFFIX}"
    problem: ResourceError | None = None
    for parent in (private, short_directory(private, os.geteuid())):
        folder = parent / FOLDER
        if len(os.fsencode(folder / longest)) > MAX_SOCKET_PATH:
            continue
        try:
            for directory in (parent, folder) if parent == private else (parent.parent, parent, folder):
                make_private_directory(directory, setting=None)
        except ResourceError as exc:
            problem = problem or exc
        else:
            return folder
    raise problem or ResourceError(f"The path of {private} is too long for a socket.")


def _remove_stale(folder: Path) -> None:
    """Remove the sockets of processes that were killed."""
    for path in folder.iterdir():
        with suppress(OSError):
            if _is_stale(path):
                path.unlink()


def _is_stale(path: Path) -> bool:
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode):
        return False
    if path.suffix == UNFINISHED:
        return time.time() - status.st_mtime > ABANDONED
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.setblocking(False)  # a process that hangs accepts nothing, and its queue may be full
        probe.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    finally:
        probe.close()
    return False
