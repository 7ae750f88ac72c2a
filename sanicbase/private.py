"""The project's private folder: the embedded stores, and what is made for the developer once."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from sanicbase.errors import ResourceError

__all__ = ["private_dir"]


def private_dir(directory: Path, *, setting: str) -> Path:
    """Make the folder, closed to other accounts and ignored by git, and return it.

    Raises ResourceError, which recommends `setting`, when it cannot be made, is a link, or is another account's, who
    could swap what is in it.
    """
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700, parents=True)
        fault = _fault(directory, directory.lstat())
        if fault is None:
            with contextlib.suppress(FileExistsError), (directory / ".gitignore").open("x") as ignore:
                ignore.write("*\n")
    except OSError as exc:
        fault = f"cannot be made a private directory ({exc.strerror})"
    if fault is not None:
        raise ResourceError(f"The private folder {directory} {fault}. Correct that, or set {setting}.")
    return directory


def _fault(directory: Path, found: os.stat_result) -> str | None:
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory"
    if hasattr(os, "geteuid"):
        if found.st_uid != os.geteuid():
            return f"belongs to another user (uid {found.st_uid})"
        if found.st_mode & 0o077:
            directory.chmod(0o700)
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return "is not writable"
    return None
