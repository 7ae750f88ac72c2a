"""Folders and files that no other account can swap: the private folder with its embedded stores, and the logs; and what
an account may not do with those that it needs."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import NamedTuple

if sys.platform != "win32":
    import pwd

from sanicbase.errors import ResourceError

__all__ = ["Refusal", "fault_of", "make_directory", "private_dir", "refusal_of"]


class Refusal(NamedTuple):
    """Why a file cannot be used, with the account that cannot, and what mends it."""

    cause: str
    remedy: str


def refusal_of(file: Path) -> Refusal | None:
    """Why this account can neither read and write the file nor make it, with others beside it; None when it can."""
    folder = file.parent
    if os.path.isdir(file):  # noqa: PTH112  (of a folder that cannot be entered Path's raises)
        return Refusal(f"{file} is a folder", "Name a file in it")
    if not os.path.isdir(folder):  # noqa: PTH112
        if not _may(_nearest(folder), os.X_OK):
            return _closed(_nearest(folder), "entered", "x")
        return Refusal(f"the folder {folder} does not exist", f"Make it: mkdir -p {_quoted(folder)}")
    if not _may(folder, os.X_OK):
        return _closed(folder, "entered", "x")
    if os.path.lexists(file) and not _may(file, os.R_OK | os.W_OK):
        return _closed(file, "read and written" if not _may(file, os.R_OK) else "written", "rw")
    if not _may(folder, os.W_OK):  # what a database writes beside its file is needed as well
        return _closed(folder, "written", "wx")
    return None


def _nearest(folder: Path) -> Path:
    """The folder, or the first of those above it that can be seen to be there."""
    return folder if os.path.isdir(folder) or folder == folder.parent else _nearest(folder.parent)  # noqa: PTH112


def _may(path: Path, access: int) -> bool:
    return os.access(path, access, effective_ids=os.access in os.supports_effective_ids)


def _closed(path: Path, done: str, modes: str) -> Refusal:
    """What is there, and cannot be used by this account."""
    found = path.stat()
    if not hasattr(os, "geteuid"):
        return Refusal(f"{path} cannot be {done} by this account", "Change its permissions")
    if found.st_uid == os.geteuid():
        mode = stat.filemode(found.st_mode)
        return Refusal(
            f"{path} cannot be {done} by {_account(found.st_uid)}, to whom it belongs: its mode is {mode}",
            f"Run: chmod u+{modes} {_quoted(path)}",
        )
    return Refusal(
        f"{path} belongs to {_account(found.st_uid)}, and this process runs as {_account(os.geteuid())}, by whom it "
        f"cannot be {done}",
        f"Run: chown {_account(os.geteuid())} {_quoted(path)}",
    )


def _account(uid: int) -> str:
    """The name of an account, or its number where it has none."""
    if sys.platform != "win32":
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
    return str(uid)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def private_dir(directory: Path, *, setting: str) -> Path:
    """Make the folder, closed to other accounts and ignored by git, and return it.

    Raises ResourceError, which recommends `setting`, when it cannot be made, is a link, or is another account's, who
    could swap what is in it.
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
        refusal = refusal_of(directory / ".gitignore")
        above = refusal_of(directory) if not directory.is_dir() else None
        if found := above or refusal:
            fault, remedy = f"{fault}: {found.cause}", found.remedy
    if fault is not None:
        raise ResourceError(f"The private folder {directory} {fault}. {remedy}, or set {setting}.")
    return directory


def _remedy(directory: Path) -> str:
    """What mends a folder that has a fault."""
    found = directory.lstat()
    if not hasattr(os, "geteuid") or not stat.S_ISDIR(found.st_mode):
        return "Correct that"
    account = _account(os.geteuid())
    if found.st_uid != os.geteuid():
        return f"This process runs as {account}. Run: chown -R {account} {_quoted(directory)}"
    return f"It belongs to {account}, as which this process runs. Run: chmod u+rwx {_quoted(directory)}"


def make_directory(directory: Path, mode: int) -> None:
    """Make the folder and its parents where they are missing, each with that mode, whatever the umask. Raises OSError.

    A parent that was open to other accounts would let them put something else in the folder's place.
    """
    if directory.is_symlink() or directory.exists():
        return
    make_directory(directory.parent, mode)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode)
        directory.chmod(mode | directory.stat().st_mode & stat.S_ISGID)  # which the folder has from its parent


def fault_of(found: os.stat_result) -> str | None:
    """Why a folder or file must not be trusted, by its `lstat`: it is a link, or another account's; None otherwise."""
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        return f"belongs to another user (uid {found.st_uid})"
    return None


def _fault(directory: Path, found: os.stat_result) -> str | None:
    if fault := fault_of(found):
        return fault
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if hasattr(os, "geteuid") and found.st_mode & 0o077:
        directory.chmod(0o700)
    if not _may(directory, os.W_OK | os.X_OK):
        return "is not writable"
    return None
