"""Checks the machine of a service: Python, packages, ports, and the folder of its logs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from sanicbase.cli.checks.findings import Finding, findings_of_error
from sanicbase.cli.project import Project, Service
from sanicbase.config import Config
from sanicbase.config.sources import dotenv
from sanicbase.errors import ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.private_directory import ownership_problem
from sanicbase.process.descriptors import descriptor_limit, required_descriptors
from sanicbase.server.bind_address import AppKind, bind_address
from sanicbase.server.port_owner import is_owned_by

__all__ = ["check_descriptors", "check_logs", "check_packages", "check_ports", "check_python"]

MIN_PYTHON, MAX_PYTHON = (3, 11), (3, 14)  # docs/en/versions.md lists the tested ones


def check_python(running: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """Check that sanicbase supports this Python."""
    running_version, oldest, newest = (".".join(map(str, version)) for version in (running, MIN_PYTHON, MAX_PYTHON))
    remedy = _("Use Python {oldest} to {newest}.", oldest=oldest, newest=newest)
    if running < MIN_PYTHON:
        refusal = _("Python {version} is not supported.", version=running_version)
        yield Finding("python.version", "error", refusal, remedy)
    elif running > MAX_PYTHON:
        warning = _("Python {version} is newer than this release of sanicbase, and untested.", version=running_version)
        yield Finding("python.version", "warning", warning, remedy)


def check_descriptors(config: Config) -> Iterator[Finding]:
    """Check that a process started here may open enough files."""
    limit, needed = descriptor_limit(), required_descriptors(config.WORKERS)
    if limit is not None and limit < needed:
        yield Finding(
            "machine.descriptors",
            "error",
            _(
                "The limit of open files is {limit}, and a process needs at least {needed}.",
                limit=limit,
                needed=needed,
            ),
            _("Raise it: ulimit -n 4096 in the shell, or LimitNOFILE=4096 in the systemd unit."),
        )


def check_packages(requirements: Iterable[str] | None = None) -> Iterator[Finding]:
    """Check that the dependencies of sanicbase are installed in supported versions."""
    for text in (requires("sanicbase") or []) if requirements is None else requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = ""
        if not installed or not requirement.specifier.contains(installed, prereleases=True):
            installed_version = installed or _("missing")
            yield Finding(
                "package.version",
                "error",
                _(
                    "{package} is {version}, but {specifier} is required.",
                    package=requirement.name,
                    version=installed_version,
                    specifier=requirement.specifier,
                ),
                f'pip install "{requirement.name}{requirement.specifier}"',
            )


def check_ports(config: Config, service: Service, project: Project) -> Iterator[Finding]:
    """Check that the ports are free or used by the service, and not assigned to another service of the project."""
    kinds: list[AppKind] = [kind for kind in service.kinds if kind != "srv"]
    for kind in kinds:
        address = bind_address(config, kind)
        try:
            address.bind().close()
        except ResourceError as exc:
            if not is_owned_by(address.port, f"{kind}_{service.name}", project.folder):
                yield from findings_of_error("port.taken", exc, "warning")
        for other in project.services():
            if other.name != service.name and address.port in _ports(other, project):
                yield Finding(
                    "port.shared",
                    "error",
                    _("{service} uses port {port} as well.", service=other.name, port=address.port),
                    _("Set {setting} to another port.", setting=address.setting),
                )


def check_logs(config: Config) -> Iterator[Finding]:
    """Check that the service can write its logs, and that no other account can redirect them."""
    folder = config.log_dir
    fault = ownership_problem(folder.lstat()) if folder.is_symlink() or folder.exists() else None
    if fault and (folder.is_symlink() or os.geteuid() != 0):  # root checks a service that another account runs
        yield Finding(
            "logs.foreign",
            "error",
            _("The log folder {folder} {fault}: the service refuses it.", folder=folder, fault=fault),
            _("Fix this with the account of the service, or set {prefix}LOG_DIR.", prefix=config.env_prefix()),
        )
        return
    existing_folder = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing_folder.is_dir() or not os.access(existing_folder, os.W_OK | os.X_OK):
        yield Finding(
            "logs.unwritable",
            "error",
            _("The log folder {folder} is not writable.", folder=folder),
            _(
                "Let this account write to {folder}, or set {prefix}LOG_DIR.",
                folder=existing_folder,
                prefix=config.env_prefix(),
            ),
        )


def _ports(service: Service, project: Project) -> set[int]:
    """The ports of another service from the environment and its files, without importing it."""
    environment = dotenv(project.folder) | os.environ
    names = {kind: f"{service.name.upper()}_{kind.upper()}_PORT" for kind in service.ports}
    ports = {environment.get(names[kind]) or str(port) for kind, port in service.ports.items()}
    return {int(port) for port in ports if port.isdigit()}
