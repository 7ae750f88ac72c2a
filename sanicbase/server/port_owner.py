"""Which process listens on a port, for error messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sanicbase.i18n import gettext as _

__all__ = ["is_owned_by", "port_owner"]

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp, see proc(5)


def port_owner(port: int) -> str | None:
    """The process that listens on that port, as `process 4711 (python http_xi_test.py)`; None when it is unknown.

    Only Linux shows it, and only for the processes of this account.
    """
    for process in _owners(port):
        with suppress(OSError):  # the process has just ended
            return _("process {id} ({command})", id=process.name, command=_command(process)[:80])
    return None


def is_owned_by(port: int, launch_file: str, folder: Path) -> bool:
    """Whether a process that was started from that launch file, in that folder, listens on the port."""
    for process in _owners(port):
        with suppress(OSError):
            if launch_file in _command(process) and (process / "cwd").readlink() == folder:
                return True
    return False


def _owners(port: int) -> Iterator[Path]:
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                yield process


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
