"""Folders and files that no other account can swap: the private folder with its embedded stores, and the logs."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from sanicbase.errors import ResourceError

__all__ = ["fault_of", "make_directory", "private_dir"]


def private_dir(directory: Path, *, setting: str) -> Path:
    """Make the folder, closed to other accounts and ignored by git, and return it.

    Raises ResourceError, which recommends `setting`, when it cannot be made, is a link, or is another account's, who
    could swap what is in it.
    """
    try:
        make_directory(directory, 0o700)
        fault = _fault(directory, directory.lstat())
        if fault is None:
            with contextlib.suppress(FileExistsError), (directory / ".gitignore").open("x") as ignore:
                ignore.write("*\n")
    except OSError as exc:
        fault = f"cannot be made a private directory ({exc.strerror})"
    if fault is not None:
        raise ResourceError(f"The private folder {directory} {fault}. Correct that, or set {setting}.")
    return directory


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
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return "is not writable"
    return None
