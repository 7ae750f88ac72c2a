"""A file for supervisor: a group of one program for each launch file."""

from __future__ import annotations

from pathlib import Path

from sanicbase.deploy.site import Site
from sanicbase.deploy.writing import Rendering, render

__all__ = ["programs"]


def programs(site: Site, to: Path, *, account: bool) -> Rendering:
    """Programs for root's supervisord, which run as the site's account; or for one that an account runs itself."""
    name = f"supervisor/{site.service}.conf"
    place = "~/.config/supervisor/conf.d" if account else "/etc/supervisor/conf.d"
    commands = [
        *(["mkdir -p ~/.config/supervisor/conf.d"] if account else []),
        f"cp {to / name} {place}/",
        "supervisorctl update",
        f"supervisorctl status '{site.service}:*'",
        *(f"supervisorctl signal HUP {site.service}:{each.name}" for each in site.launches if each.serves),
    ]
    return Rendering({name: render("supervisor/programs.j2", site=site, account=account)}, commands)
