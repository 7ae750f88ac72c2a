"""Accounts of this machine, and which files they can read."""

from __future__ import annotations

import sys
from pathlib import Path

from sanicbase.i18n import gettext as _

__all__ = ["access_denied_reason", "home_of", "owner_of"]

if sys.platform != "win32":
    import grp
    import pwd


def home_of(account: str) -> Path | None:
    """The home directory of the account; None when there is no such account."""
    try:
        return Path(pwd.getpwnam(account).pw_dir)
    except KeyError:
        return None


def owner_of(path: Path) -> str | None:
    """The owner of the path; None when its owner has no name."""
    try:
        return path.owner()
    except (KeyError, OSError):
        return None


def access_denied_reason(path: Path, account: str) -> str | None:
    """The reason why the account cannot read the path, from permission bits; None when it can."""
    entry = pwd.getpwnam(account)
    if entry.pw_uid == 0:
        return None
    groups = {entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if account in group.gr_mem)}
    target = path.resolve()  # the parents of a link and of its target must both be accessible
    for place in (*reversed(path.parents), *reversed(target.parents), target):
        status = place.stat()
        required = 0o1 if place != target else 0o4
        if status.st_uid == entry.pw_uid:
            allowed = status.st_mode >> 6
        else:
            allowed = status.st_mode >> 3 if status.st_gid in groups else status.st_mode
        if not allowed & required:
            mode = f"{status.st_mode & 0o777:o}"
            return _("no access to {folder} (mode {mode})", folder=place, mode=mode)
    return None
