"""Writes a plan atomically."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sanicbase.cli.project import Project
from sanicbase.cli.scaffold.plan import Change, Plan
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _

__all__ = ["write"]


def write(plan: Plan, project: Project) -> None:
    """Write the files of the plan. Raises SanicBaseError when a file cannot be written, and restores all of them.

    All contents are first written to a folder beside the project's files, and then renamed. Signals are blocked for
    these milliseconds, so Ctrl-C does not interrupt between files.
    """
    with _signals_blocked(), ExitStack() as undo:
        try:
            _write(plan, project, undo)
        except OSError as exc:
            undo.close()
            raise SanicBaseError(
                _("Nothing was written: {error}.", error=exc),
            ) from exc
        undo.pop_all()


def _write(plan: Plan, project: Project, undo: ExitStack) -> None:
    with tempfile.TemporaryDirectory(prefix=".sanicGuider-", dir=project.folder) as staging:
        staged = [_stage(Path(staging) / str(number), project, change) for number, change in enumerate(plan.changes)]
        for source, change in zip(staged, plan.changes, strict=True):
            _check_unchanged(project, change)
            target = _target(project, change)
            _make_folder(target.parent, undo)
            source.replace(target)
            undo.callback(_restore, target, change)


def _stage(path: Path, project: Project, change: Change) -> Path:
    path.write_bytes(change.after.encode())
    target = _target(project, change)
    private = Path(change.path).name == ".env"  # it contains passwords
    path.chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o600 if private else 0o666 & ~_umask())
    return path


def _target(project: Project, change: Change) -> Path:
    """The target of the path, behind all symbolic links."""
    return (project.folder / change.path).resolve()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_unchanged(project: Project, change: Change) -> None:
    if project.text(change.path) != change.before:
        raise OSError(_("{path} has changed in the meantime", path=change.path))


def _make_folder(folder: Path, undo: ExitStack) -> None:
    if not folder.exists():
        _make_folder(folder.parent, undo)
        folder.mkdir()
        undo.callback(shutil.rmtree, folder, ignore_errors=True)


def _restore(target: Path, change: Change) -> None:
    if change.before is None:
        target.unlink(missing_ok=True)
    else:
        target.write_bytes(change.before.encode())


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Delay signals that would end the process; Windows does not support this."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
