"""The accounts of this machine, and what they may reach."""

from __future__ import annotations

import sys
from pathlib import Path

from sanicbase.i18n import gettext as _

__all__ = ["home_of", "owner_of", "why_out_of_reach"]

if sys.platform != "win32":
    import grp
    import pwd


def home_of(account: str) -> Path | None:
    """The account's home; None when there is no such account."""
    try:
        return Path(pwd.getpwnam(account).pw_dir)
    except KeyError:
        return None


def owner_of(path: Path) -> str | None:
    """Who owns the path; None when it has no owner by name."""
    try:
        return path.owner()
    except (KeyError, OSError):
        return None


def why_out_of_reach(path: Path, account: str) -> str | None:
    """Why the account cannot read the path, by the permission bits on the way to it; None when it can."""
    entry = pwd.getpwnam(account)
    if entry.pw_uid == 0:
        return None
    groups = {entry.pw_gid, *(group.gr_gid for group in grp.getgrall() if account in group.gr_mem)}
    target = path.resolve()  # the way to a link is gone as well, and then that to what it leads to
    for place in (*reversed(path.parents), *reversed(target.parents), target):
        found = place.stat()
        wanted = 0o1 if place != target else 0o4
        if found.st_uid == entry.pw_uid:
            allowed = found.st_mode >> 6
        else:
            allowed = found.st_mode >> 3 if found.st_gid in groups else found.st_mode
        if not allowed & wanted:
            mode = f"{found.st_mode & 0o777:o}"
            return _("{folder} is closed to it (mode {mode})", folder=place, mode=mode)
    return None
