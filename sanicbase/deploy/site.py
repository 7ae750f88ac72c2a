"""What is known of a service and of the machine it goes to, looked at before anything is rendered."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sanicbase.config import Config
from sanicbase.deploy.accounts import home_of, owner_of, why_out_of_reach
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.server.serve import CLOSE_TIMEOUT

__all__ = ["DeployError", "Launch", "Site", "survey"]

KINDS: tuple[Kind, ...] = ("http", "ws", "srv")
WORDS = {"http": "HTTP", "ws": "WebSockets", "srv": "scripts"}
OPENING = 60.0  # seconds that the main process may take to open everything, before its workers do
MARGIN = 5.0  # seconds between our own end of patience and that of whoever kills us
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
UNFIT = re.compile(r"[\x00-\x1f\x7f\"'\\;]")

Kind = Literal["http", "ws", "srv"]


class DeployError(SanicBaseError):
    """What was asked for cannot be deployed; the message is a sentence with the remedy."""


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
    def words(self) -> str:
        """What it is, for people."""
        return WORDS[self.kind]

    @property
    def serves(self) -> bool:
        """Whether it listens on a port, and reloads."""
        return self.kind != "srv"


@dataclass(frozen=True)
class Site:
    """A service and where it goes. The paths are those of the machine that it runs on."""

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
        """How long a start may take before it has failed."""
        return round(OPENING + self.config.START_TIMEOUT)

    @property
    def stop_seconds(self) -> int:
        """How long a stop may take before it is cut: the drain, the closing of what is open, and a margin."""
        return round(self.config.GRACEFUL_SHUTDOWN_TIMEOUT + CLOSE_TIMEOUT + MARGIN)

    @property
    def log_dir(self) -> Path:
        """The folder that holds the folders of the services' logs; outside of the project, which may be /var/log, the
        service's own."""
        own = self.config.log_dir
        return self._there(own.parent if own.is_relative_to(self.config.project_dir()) else own)

    @property
    def private_dir(self) -> Path:
        return self._there(self.config.private_dir())

    @property
    def writable(self) -> tuple[Path, ...]:
        """The folders that the service writes to: its logs, the private folder, those of SQLite files."""
        files = [each["credentials"].get("file_path") for each in self.config.tortoise()["connections"].values()]
        folders = [self._there(Path(file).parent) for file in files if file and file != ":memory:"]
        return tuple(dict.fromkeys((self.log_dir, self.private_dir, *folders)))

    def launch(self, kind: Kind) -> Launch | None:
        """The launch file of that kind, if there is one."""
        return next((launch for launch in self.launches if launch.kind == kind), None)

    def port(self, kind: Kind) -> int:
        return self.config.WS_PORT if kind == "ws" else self.config.HTTP_PORT

    def _there(self, path: Path) -> Path:
        """A path of this machine as it is on the other one."""
        here = self.config.project_dir()
        return self.directory / path.relative_to(here) if path.is_relative_to(here) else path


def survey(
    config: Config, *, directory: Path | None = None, python: Path, account: str = "", elsewhere: bool = False
) -> Site:
    """Look at the service, and at the paths and the account unless they are `elsewhere`, on another machine.

    Raises DeployError, a sentence for what is missing.
    """
    service, here = config.SERVER_NAME, config.project_dir()
    launches = tuple(each for kind in KINDS if (here / (each := Launch(kind, service)).file).is_file())
    if not launches:
        names = ", ".join(Launch(kind, service).file for kind in KINDS)
        raise DeployError(
            _(
                "There is no launch file of {service} in {folder}: write one of {names}.",
                service=service,
                folder=here,
                names=names,
            )
        )
    site = Site(config, launches, directory or here, python, account)
    _check_paths(site)
    if not elsewhere:
        _check_machine(site)
    return site


def _check_paths(site: Site) -> None:
    if site.account and not ACCOUNT.fullmatch(site.account):
        raise DeployError(_("{account!r} is no name of an account.", account=site.account))
    for path in (site.directory, site.python, *site.writable):
        if not path.is_absolute():
            raise DeployError(
                _("{path} is no absolute path: write it in full, for it is read in another folder.", path=path)
            )
        if found := UNFIT.search(str(path)):
            raise DeployError(
                _(
                    "{path!r} holds {character!r}, which such files cannot carry: use another path.",
                    path=str(path),
                    character=found[0],
                )
            )


def _check_machine(site: Site) -> None:
    hint = _(" Correct that, or say --elsewhere when the files are for another machine.")
    for launch in site.launches:
        if not (site.directory / launch.file).is_file():
            file = site.directory / launch.file
            raise DeployError(_("There is no {file}.", file=file) + hint)
    if not os.access(site.python, os.X_OK) or site.python.is_dir():
        raise DeployError(_("{python} is no interpreter that can be run.", python=site.python) + hint)
    if not site.account:
        return
    if home_of(site.account) is None:
        missing = _("This machine has no account {account}: make it (useradd --system).", account=site.account)
        raise DeployError(missing + hint)
    for path in (site.python, *(site.directory / launch.file for launch in site.launches)):
        if reason := why_out_of_reach(path, site.account):
            raise DeployError(
                _(
                    "{account} cannot reach {path}: {reason}. Move it, or open the way.",
                    account=site.account,
                    path=path,
                    reason=reason,
                )
            )


def account_for(directory: Path) -> str:
    """Whom the service should run as when nobody said: the owner of the project's folder.

    Raises DeployError when that is root, who should not serve strangers.
    """
    owner = owner_of(directory)
    if owner in (None, "root"):
        raise DeployError(
            _("{directory} is root's: name the account that the service runs as, by --user.", directory=directory)
        )
    return str(owner)
