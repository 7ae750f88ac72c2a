"""Reading the snapshots of all running main processes of a service."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.top.snapshot import Snapshot
from sanicbase.top.sockets import candidates, connect, running

__all__ = ["NotRunning", "Reading", "read_service"]

TIMEOUT = 3.0  # seconds for one process
MAX_SNAPSHOT = 8 * 1024 * 1024  # bytes


class NotRunning(SanicBaseError):
    """No process of the service can be read; the message says why."""


class Reading(NamedTuple):
    """The snapshots of a service's main processes, and what is wrong with the others."""

    snapshots: list[Snapshot]
    problems: list[str]


def read_service(private: Path, service: str) -> Reading:
    """The snapshots of the service whose project has this private folder. Raises NotRunning if there is none."""
    if os.name != "posix":
        raise NotRunning(_("A service can be watched on POSIX systems only: use WSL."))
    snapshots: list[Snapshot] = []
    problems: list[str] = []
    for path in _sockets(private, service, problems):
        name = path.name.split(".")[0]
        try:
            snapshots.append(_read(path))
        except (ConnectionRefusedError, FileNotFoundError):
            continue  # it was killed, or has just ended
        except PermissionError:
            problems.append(_foreign(path))
        except (TimeoutError, OSError, ValidationError) as exc:
            problems.append(_problem(name, exc))
    if not snapshots:
        raise NotRunning(
            "\n".join(problems)
            or _(
                "{service} is not running in this folder. Start it, or change to the folder that it was started in.",
                service=service,
            )
        )
    return Reading(sorted(snapshots, key=lambda snapshot: (snapshot.name, snapshot.started, snapshot.pid)), problems)


def _sockets(private: Path, service: str, problems: list[str]) -> list[Path]:
    found: list[Path] = []
    for folder in candidates(private):
        try:
            found += running(folder, service)
        except OSError as exc:  # no service has been here, or other accounts have
            if isinstance(exc, PermissionError) and folder.parent == private:
                problems.append(_foreign(folder))
    return found


def _foreign(path: Path) -> str:
    return _("{path} belongs to another account. Run the command as that account, or as root.", path=path)


def _read(path: Path) -> Snapshot:
    deadline, received = time.monotonic() + TIMEOUT, bytearray()
    with connect(path, TIMEOUT) as connection:
        while chunk := connection.recv(262_144):
            received += chunk
            if len(received) > MAX_SNAPSHOT or time.monotonic() > deadline:
                raise TimeoutError
    if not received:
        raise ConnectionResetError
    return Snapshot.model_validate_json(bytes(received))


def _problem(name: str, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return _("{name} does not respond: its main process hangs.", name=name)
    if isinstance(error, ConnectionResetError):
        return _("{name} has closed the connection: too many clients watch it, or it is ending.", name=name)
    if isinstance(error, ValidationError):
        return _("{name} runs another version of sanicbase. Restart it, or use its version of the command.", name=name)
    return f"{name}: {error}"
