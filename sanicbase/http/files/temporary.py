"""Unnamed files for uploads. They are gone when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from pathlib import Path

from sanicbase.errors import ResourceError
from sanicbase.private_directory import make_private_directory

__all__ = ["check_upload_dir", "open_temporary", "save_temporary", "upload_dir", "write_temporary"]

UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)  # of file systems and kernels
FULL = (errno.ENOSPC, errno.EDQUOT)
COPY = 1_048_576  # bytes


def upload_dir(configured: Path | None, project_dir: Path) -> Path:
    """The folder of UPLOAD_DIR, or that of the system."""
    return project_dir / configured if configured is not None else Path(tempfile.gettempdir())


def check_upload_dir(configured: Path | None, project_dir: Path, *, setting: str) -> None:
    """Refuse a folder that cannot keep uploads, and create the configured one, closed to other accounts.

    Raises ResourceError.
    """
    folder = upload_dir(configured, project_dir)
    if configured is not None:
        make_private_directory(folder, setting=setting)
    try:
        os.close(open_temporary(folder))
    except OSError as exc:
        raise ResourceError(
            f"Uploads cannot be kept in {folder} ({exc.strerror}). Correct that, or set {setting}."
        ) from exc


def open_temporary(folder: Path) -> int:
    """The descriptor of a new unnamed file in the folder. Raises OSError."""
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno not in UNSUPPORTED or not folder.is_dir():
                raise
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)  # noqa: PTH108
    return descriptor


def write_temporary(descriptor: int, data: bytes) -> None:
    """Append the data. Raises ResourceError when the disk is full."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as exc:
        if exc.errno in FULL:
            raise ResourceError("The disk is full, so an upload was refused. Free space, or set UPLOAD_DIR.") from exc
        raise


def save_temporary(descriptor: int, path: Path, *, overwrite: bool, mode: int, copy: bool) -> None:
    """Write everything to the disk, and then give the file that name. Raises FileExistsError.

    A file on another file system, and one that was saved before (`copy`), is first copied to an unnamed file in the
    folder of the path.
    """
    own = -1
    try:
        if copy or os.fstat(descriptor).st_dev != path.parent.stat().st_dev:
            own = open_temporary(path.parent)
            _copy(descriptor, own)
            descriptor = own
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        _name(descriptor, path, overwrite=overwrite)
        _sync_folder(path.parent)
    finally:
        if own >= 0:
            os.close(own)


def _copy(source: int, target: int) -> None:
    position = 0
    while block := os.pread(source, COPY, position):
        write_temporary(target, block)
        position += len(block)


def _name(descriptor: int, path: Path, *, overwrite: bool) -> None:
    """Give the file the name, or replace the file that has it, atomically."""
    if not overwrite:
        _link(descriptor, path)
        return
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    _link(descriptor, beside)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise


def _link(descriptor: int, path: Path) -> None:
    """Link an unnamed file (open(2), O_TMPFILE), or copy it on systems without them."""
    try:
        # With a directory, which an absolute path ignores, Python calls linkat, which alone follows this link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        _copy_to_name(descriptor, path)


def _copy_to_name(descriptor: int, path: Path) -> None:
    mode = os.fstat(descriptor).st_mode & 0o777
    target, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with contextlib.closing(os.fdopen(target, "wb")) as copied:
            _copy(descriptor, copied.fileno())
            os.fchmod(copied.fileno(), mode)
            os.fsync(copied.fileno())
        os.link(name, path)
    finally:
        os.unlink(name)  # noqa: PTH108


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
