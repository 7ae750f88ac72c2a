"""Who has a port, for the sentence that says so."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["holder_of"]

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp, see proc(5)


def holder_of(port: int) -> str | None:
    """The process that listens on that port, as `process 4711 (python http_xi_test.py)`; None where nobody tells.

    Only Linux tells, and only of the processes of this account.
    """
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"process {process.name} ({command[:80]})"
    return None


def _listeners(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found
