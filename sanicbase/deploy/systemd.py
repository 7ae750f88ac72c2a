"""Units of systemd: one for each launch file, and a target for all of them."""

from __future__ import annotations

from pathlib import Path

from sanicbase.deploy.site import Launch, Site
from sanicbase.deploy.writing import Rendering, render

__all__ = ["account_units", "root_units"]

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
SHARED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  (a private /tmp would hide what lies there)
LOWEST_PORT = 1024  # below it a process needs a capability


def root_units(site: Site, to: Path) -> Rendering:
    """Units for /etc/systemd/system, which run as the site's account and see as little of the machine as they need."""
    folder, units = to / "systemd", "/etc/systemd/system"
    tmpfiles = f"systemd/tmpfiles.d/{site.service}.conf"
    commands = [
        f"cp {to / tmpfiles} /etc/tmpfiles.d/",
        f"cp {folder}/*{site.service}.service {folder}/{site.service}.target {units}/",
        "systemctl daemon-reload",
        f"systemctl enable --now {site.service}.target",
        *(f"service {launch.name} status" for launch in site.launches),
    ]
    files = {**_files(site, "systemd", account=False), tmpfiles: render("systemd/tmpfiles.j2", site=site)}
    return Rendering(files, commands)


def account_units(site: Site, to: Path) -> Rendering:
    """Units for ~/.config/systemd/user, for which nobody needs to be root.

    What only root's manager can do is left out: other namespaces for files, and capabilities.
    """
    folder = to / "systemd" / "user"
    commands = [
        "mkdir -p ~/.config/systemd/user",
        f"cp {folder}/*{site.service}.service {folder}/{site.service}.target ~/.config/systemd/user/",
        "loginctl enable-linger",
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {site.service}.target",
        *(f"systemctl --user status {launch.name}" for launch in site.launches),
    ]
    return Rendering(_files(site, "systemd/user", account=True), commands)


def _files(site: Site, folder: str, *, account: bool) -> dict[str, str]:
    files = {
        f"{folder}/{launch.name}.service": render(
            "systemd/service.j2", site=site, launch=launch, account=account, **_facts(site, launch)
        )
        for launch in site.launches
    }
    target = render("systemd/target.j2", site=site, account=account)
    return {**files, f"{folder}/{site.service}.target": target}


def _facts(site: Site, launch: Launch) -> dict[str, object]:
    # A virtual environment leads to the interpreter that it was made with.
    places = (site.directory, site.python, site.python.resolve(), *site.writable)
    return {
        "siblings": [each for each in site.launches if each != launch],
        "at_home": any(place.is_relative_to(home) for place in places for home in HOMES),
        "in_tmp": any(place.is_relative_to(folder) for place in places for folder in SHARED),
        "low_port": launch.serves and site.port(launch.kind) < LOWEST_PORT,
    }
