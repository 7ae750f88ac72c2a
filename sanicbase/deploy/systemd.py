"""systemd units: a service for each launch file, and a target for all of them."""

from __future__ import annotations

from pathlib import Path

from sanicbase.deploy.deployment import Deployment, Launch
from sanicbase.deploy.rendering import Rendering, render

__all__ = ["account_units", "root_units"]

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
SHARED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (a private /tmp would hide files there)
LOWEST_PORT = 1024  # lower ports need a capability


def root_units(deployment: Deployment, to: Path) -> Rendering:
    """Units for /etc/systemd/system, which run as the deployment's account, with access only to what they need."""
    folder, units = to / "systemd", "/etc/systemd/system"
    tmpfiles = f"systemd/tmpfiles.d/{deployment.service}.conf"
    commands = [
        f"cp {to / tmpfiles} /etc/tmpfiles.d/",
        f"cp {folder}/*{deployment.service}.service {folder}/{deployment.service}.target {units}/",
        "systemctl daemon-reload",
        f"systemctl enable --now {deployment.service}.target",
        *(f"service {launch.name} status" for launch in deployment.launches),
    ]
    files = {
        **_files(deployment, "systemd", account=False),
        tmpfiles: render("systemd/tmpfiles.j2", deployment=deployment),
    }
    return Rendering(files, commands)


def account_units(deployment: Deployment, to: Path) -> Rendering:
    """Units for ~/.config/systemd/user, which need no root.

    They lack what only the system manager can do: file system namespaces, and capabilities.
    """
    folder = to / "systemd" / "user"
    commands = [
        "mkdir -p ~/.config/systemd/user",
        f"cp {folder}/*{deployment.service}.service {folder}/{deployment.service}.target ~/.config/systemd/user/",
        "loginctl enable-linger",
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {deployment.service}.target",
        *(f"systemctl --user status {launch.name}" for launch in deployment.launches),
    ]
    return Rendering(_files(deployment, "systemd/user", account=True), commands)


def _files(deployment: Deployment, folder: str, *, account: bool) -> dict[str, str]:
    files = {
        f"{folder}/{launch.name}.service": render(
            "systemd/service.j2", deployment=deployment, launch=launch, account=account, **_facts(deployment, launch)
        )
        for launch in deployment.launches
    }
    target = render("systemd/target.j2", deployment=deployment, account=account)
    return {**files, f"{folder}/{deployment.service}.target": target}


def _facts(deployment: Deployment, launch: Launch) -> dict[str, object]:
    # The interpreter of a virtual environment is a link to the one that created it.
    places = (deployment.directory, deployment.python, deployment.python.resolve(), *deployment.writable)
    return {
        "siblings": [sibling for sibling in deployment.launches if sibling != launch],
        "at_home": any(place.is_relative_to(home) for place in places for home in HOMES),
        "in_tmp": any(place.is_relative_to(folder) for place in places for folder in SHARED),
        "low_port": launch.serves and deployment.port(launch.kind) < LOWEST_PORT,
    }
