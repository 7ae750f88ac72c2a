"""Private directories, which no other account can replace: the embedded stores and the logs. And why an account cannot
use a file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import NamedTuple

if sys.platform != "win32":
    import pwd

from sanicbase.errors import ResourceError

__all__ = [
    "MAX_SOCKET_PATH",
    "AccessProblem",
    "access_problem",
    "make_directory",
    "make_private_directory",
    "ownership_problem",
    "short_directory",
]

MAX_SOCKET_PATH = 103
"""The bytes that the path of a socket may have: sun_path holds 104 on macOS and 108 on Linux, the final zero
included."""


class AccessProblem(NamedTuple):
    """Why an account cannot use a file, and the remedy."""

    cause: str
    remedy: str


def access_problem(file: Path) -> AccessProblem | None:
    """Why this account cannot read, write or create the file, or others beside it; None when it can."""
    folder = file.parent
    if os.path.isdir(file):  # noqa: PTH112  (Path's raises for a folder that cannot be entered)
        return AccessProblem(f"{file} is a folder", "Name a file in it")
    if not os.path.isdir(folder):  # noqa: PTH112
        if not _may(_nearest_existing(folder), os.X_OK):
            return _denied(_nearest_existing(folder), "entered", "x")
        return AccessProblem(f"the folder {folder} does not exist", f"Create it: mkdir -p {_quoted(folder)}")
    if not _may(folder, os.X_OK):
        return _denied(folder, "entered", "x")
    if os.path.lexists(file) and not _may(file, os.R_OK | os.W_OK):
        return _denied(file, "read and written" if not _may(file, os.R_OK) else "written", "rw")
    if not _may(folder, os.W_OK):  # a database also writes files beside its own
        return _denied(folder, "written", "wx")
    return None


def _nearest_existing(folder: Path) -> Path:
    """The folder, or the nearest parent that exists."""
    return folder if os.path.isdir(folder) or folder == folder.parent else _nearest_existing(folder.parent)  # noqa: PTH112


def _may(path: Path, access: int) -> bool:
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)


def _denied(path: Path, action: str, modes: str) -> AccessProblem:
    """The problem with a path that exists, but that this account cannot use."""
    status = path.stat()
    if not hasattr(os, "geteuid"):
        return AccessProblem(f"{path} cannot be {action} by this account", "Change its permissions")
    if status.st_uid == os.geteuid():
        mode = stat.filemode(status.st_mode)
        return AccessProblem(
            f"{path} cannot be {action} by its owner {_account(status.st_uid)}: its mode is {mode}",
            f"Run: chmod u+{modes} {_quoted(path)}",
        )
    return AccessProblem(
        f"{path} belongs to {_account(status.st_uid)} and cannot be {action} by {_account(os.geteuid())}, the account "
        "of this process",
        f"Run: chown {_account(os.geteuid())} {_quoted(path)}",
    )


def _account(uid: int) -> str:
    """The name of an account, or its number when it has no name."""
    if sys.platform != "win32":
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
    return str(uid)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def short_directory(directory: Path, account: int) -> Path:
    """The folder that the account with that number uses in place of `directory`, for sockets whose path would be too
    long there."""
    # Not gettempdir(): it must be the same for all processes, whatever their TMPDIR is.
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path("/tmp", f"sanicbase-{account}", digest)  # noqa: S108 - created by make_private_directory


def make_private_directory(directory: Path, *, setting: str | None) -> Path:
    """Create the folder, closed to other accounts and ignored by git, and return it.

    Raises ResourceError, whose message names `setting`, if there is one, when it cannot be created, is a link, or
    belongs to another account, which could replace its content.
    """
    remedy = "Correct that"
    try:
        make_directory(directory, 0o700)
        fault = _fault(directory, directory.lstat())
        remedy = _remedy(directory) if fault else remedy
        if fault is None:
            with contextlib.suppress(FileExistsError), (directory / ".gitignore").open("x") as ignore:
                ignore.write("*\n")
    except OSError as exc:
        fault = f"cannot be made a private directory ({exc.strerror})"
        inside = access_problem(directory / ".gitignore")
        above = access_problem(directory) if not directory.is_dir() else None
        if problem := above or inside:
            fault, remedy = f"{fault}: {problem.cause}", problem.remedy
    if fault is not None:
        alternative = "" if setting is None else f", or set {setting}"
        raise ResourceError(f"The private folder {directory} {fault}. {remedy}{alternative}.")
    return directory


def _remedy(directory: Path) -> str:
    """The remedy for a folder that has a fault."""
    status = directory.lstat()
    if not hasattr(os, "geteuid") or not stat.S_ISDIR(status.st_mode):
        return "Correct that"
    account = _account(os.geteuid())
    if status.st_uid != os.geteuid():
        return f"This process runs as {account}. Run: chown -R {account} {_quoted(directory)}"
    return f"It belongs to {account}, as which this process runs. Run: chmod u+rwx {_quoted(directory)}"


def make_directory(directory: Path, mode: int) -> None:
    """Create the folder and its missing parents, each with that mode, whatever the umask. Raises OSError.

    Accounts that can write to a parent could replace the folder.
    """
    if directory.is_symlink() or directory.exists():
        return
    make_directory(directory.parent, mode)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode)
        directory.chmod(mode | directory.stat().st_mode & stat.S_ISGID)  # inherited from its parent


def ownership_problem(status: os.stat_result) -> str | None:
    """Why a folder or file cannot be trusted, by its `lstat`: it is a link, or belongs to another account."""
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    return None


def _fault(directory: Path, status: os.stat_result) -> str | None:
    if fault := ownership_problem(status):
        return fault
    if not stat.S_ISDIR(status.st_mode):
        return "is not a directory"
    if hasattr(os, "geteuid") and status.st_mode & 0o077:
        directory.chmod(0o700)
    if not _may(directory, os.W_OK | os.X_OK):
        return "is not writable"
    return None
