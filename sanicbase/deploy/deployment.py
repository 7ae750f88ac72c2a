"""The deployment of a service on a machine, which is checked before anything is rendered."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sanicbase.config import Config
from sanicbase.deploy.accounts import access_denied_reason, home_of, owner_of
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.server.serve import CLOSE_TIMEOUT

__all__ = ["DeployError", "Deployment", "Launch", "inspect_deployment"]

KINDS: tuple[Kind, ...] = ("http", "ws", "srv")
DESCRIPTIONS = {"http": "HTTP", "ws": "WebSockets", "srv": "scripts"}
OPEN_TIMEOUT = 60.0  # seconds that the main process may take to open all resources before its workers start
MARGIN = 5.0  # seconds between our own timeout and that of the process manager
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\"'\\;]")

Kind = Literal["http", "ws", "srv"]


class DeployError(SanicBaseError):
    """The service cannot be deployed as requested; the message names the remedy."""


@dataclass(frozen=True)
class Launch:
    """A launch file: `http_xi_test.py` is the kind `http`, and its unit is called `http_xi_test`."""

    kind: Kind
    service: str

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.service}"

    @property
    def file(self) -> str:
        return f"{self.name}.py"

    @property
    def description(self) -> str:
        """A description for people."""
        return DESCRIPTIONS[self.kind]

    @property
    def serves(self) -> bool:
        """Whether it listens on a port, and reloads."""
        return self.kind != "srv"


@dataclass(frozen=True)
class Deployment:
    """A service and its target machine. The paths are those of that machine."""

    config: Config
    launches: tuple[Launch, ...]
    directory: Path
    python: Path
    account: str

    @property
    def service(self) -> str:
        return self.config.SERVER_NAME

    @property
    def prefix(self) -> str:
        return self.config.env_prefix()

    @property
    def start_seconds(self) -> int:
        """How long a start may take, in seconds."""
        return round(OPEN_TIMEOUT + self.config.START_TIMEOUT)

    @property
    def stop_seconds(self) -> int:
        """How long a stop may take, in seconds: draining, closing the resources, and a margin."""
        return round(self.config.GRACEFUL_SHUTDOWN_TIMEOUT + CLOSE_TIMEOUT + MARGIN)

    @property
    def log_dir(self) -> Path:
        """The folder of all services' logs; outside the project, such as in /var/log, only the service's own."""
        folder = self.config.log_dir
        return self._on_target(folder.parent if folder.is_relative_to(self.config.project_dir()) else folder)

    @property
    def private_dir(self) -> Path:
        return self._on_target(self.config.private_dir())

    @property
    def writable(self) -> tuple[Path, ...]:
        """The folders that the service writes to: its logs, the private folder, UPLOAD_DIR, and those of SQLite
        files."""
        connections = self.config.tortoise()["connections"].values()
        files = [connection["credentials"].get("file_path") for connection in connections]
        folders = [self._on_target(Path(file).parent) for file in files if file and file != ":memory:"]
        uploads = self.config.UPLOAD_DIR
        if uploads is not None:
            folders.append(self._on_target(self.config.project_dir() / uploads))
        return tuple(dict.fromkeys((self.log_dir, self.private_dir, *folders)))

    def launch(self, kind: Kind) -> Launch | None:
        """The launch file of that kind, if there is one."""
        return next((launch for launch in self.launches if launch.kind == kind), None)

    def port(self, kind: Kind) -> int:
        return self.config.WS_PORT if kind == "ws" else self.config.HTTP_PORT

    def _on_target(self, path: Path) -> Path:
        """A path of this machine on the target machine."""
        here = self.config.project_dir()
        return self.directory / path.relative_to(here) if path.is_relative_to(here) else path


def inspect_deployment(
    config: Config, *, directory: Path | None = None, python: Path, account: str = "", elsewhere: bool = False
) -> Deployment:
    """Inspect the service, and also the paths and the account unless they are `elsewhere`, on another machine.

    Raises DeployError when something is missing.
    """
    service, here = config.SERVER_NAME, config.project_dir()
    launches = tuple(launch for kind in KINDS if (here / (launch := Launch(kind, service)).file).is_file())
    if not launches:
        names = ", ".join(Launch(kind, service).file for kind in KINDS)
        raise DeployError(
            _(
                "{folder} has no launch file of {service}. Create one of {names}.",
                service=service,
                folder=here,
                names=names,
            )
        )
    deployment = Deployment(config, launches, directory or here, python, account)
    _check_paths(deployment)
    if not elsewhere:
        _check_machine(deployment)
    return deployment


def _check_paths(deployment: Deployment) -> None:
    if deployment.account and not ACCOUNT.fullmatch(deployment.account):
        raise DeployError(_("{account!r} is not a valid account name.", account=deployment.account))
    for path in (deployment.directory, deployment.python, *deployment.writable):
        if not path.is_absolute():
            raise DeployError(
                _(
                    "{path} is not an absolute path. Write the full path: the files are used in another folder.",
                    path=path,
                )
            )
        if match := FORBIDDEN.search(str(path)):
            raise DeployError(
                _(
                    "{path!r} contains {character!r}, which the files do not support. Use another path.",
                    path=str(path),
                    character=match[0],
                )
            )


def _check_machine(deployment: Deployment) -> None:
    hint = _(" Correct this, or pass --elsewhere if the files are for another machine.")
    for launch in deployment.launches:
        if not (deployment.directory / launch.file).is_file():
            file = deployment.directory / launch.file
            raise DeployError(_("{file} does not exist.", file=file) + hint)
    if not os.access(deployment.python, os.X_OK) or deployment.python.is_dir():
        raise DeployError(_("{python} is not an executable interpreter.", python=deployment.python) + hint)
    if not deployment.account:
        return
    if home_of(deployment.account) is None:
        missing = _("The account {account} does not exist. Create it (useradd --system).", account=deployment.account)
        raise DeployError(missing + hint)
    for path in (deployment.python, *(deployment.directory / launch.file for launch in deployment.launches)):
        if reason := access_denied_reason(path, deployment.account):
            raise DeployError(
                _(
                    "{account} cannot access {path}: {reason}. Move it, or change the permissions.",
                    account=deployment.account,
                    path=path,
                    reason=reason,
                )
            )


def account_for(directory: Path) -> str:
    """The default account of the service: the owner of the project's folder.

    Raises DeployError when that is root, which should not serve clients.
    """
    owner = owner_of(directory)
    if owner in (None, "root"):
        raise DeployError(
            _("{directory} belongs to root. Pass the account that runs the service with --user.", directory=directory)
        )
    return str(owner)
