"""Who has a port, for the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["holder_of", "is_held_by"]

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp, see proc(5)


def holder_of(port: int) -> str | None:
    """The process that listens on that port, as `process 4711 (python http_xi_test.py)`; None where nobody tells.

    Only Linux tells, and only of the processes of this account.
    """
    for process in _holders(port):
        with suppress(OSError):  # it has just ended
            return f"process {process.name} ({_command(process)[:80]})"
    return None


def is_held_by(port: int, launch_file: str, folder: Path) -> bool:
    """Whether a process that was started from that launch file, in that folder, listens on the port."""
    for process in _holders(port):
        with suppress(OSError):
            if launch_file in _command(process) and (process / "cwd").readlink() == folder:
                return True
    return False


def _holders(port: int) -> Iterator[Path]:
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                yield process


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _listeners(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found
