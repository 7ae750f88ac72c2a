"""What an account may do in a database of MySQL or MariaDB, by what `SHOW GRANTS` says."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["missing_privileges"]

NEEDED = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}

GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<pattern>\*|`[^`]*`)\.\* TO ")
ROLE = re.compile(r"GRANT (?!.* ON )")
LETTER = re.compile(r"\\([%_])|([%_])|(.)", re.DOTALL)


def missing_privileges(database: str, grants: Iterable[str]) -> tuple[str, ...]:
    """What the grants do not allow and a service with its migrations needs; nothing where one is of a role, of which
    they do not tell what it may."""
    granted: set[str] = set()
    for line in grants:
        if ROLE.match(line):
            return ()
        found = GRANT.match(line)
        if found and _is_like(database, found["pattern"].strip("`")):
            granted |= {each.strip() for each in found["privileges"].upper().split(",")}
    return () if granted & {"ALL PRIVILEGES", "ALL"} else tuple(sorted(NEEDED - granted))


def _is_like(database: str, pattern: str) -> bool:
    """Whether the name fits a grant's, in which % and _ stand for letters, and a backslash before them for none."""
    return pattern == "*" or re.fullmatch(LETTER.sub(_translated, pattern), database) is not None


def _translated(found: re.Match[str]) -> str:
    if found[2]:
        return ".*" if found[2] == "%" else "."
    return re.escape(found[1] or found[3])
