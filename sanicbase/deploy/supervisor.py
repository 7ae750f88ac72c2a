"""A configuration file for supervisor: a group with a program for each launch file."""

from __future__ import annotations

from pathlib import Path

from sanicbase.deploy.deployment import Deployment
from sanicbase.deploy.rendering import Rendering, render

__all__ = ["programs"]


def programs(deployment: Deployment, to: Path, *, account: bool) -> Rendering:
    """Programs for root's supervisord, run as the deployment's account, or for the supervisord of an account."""
    file = f"supervisor/{deployment.service}.conf"
    place = "~/.config/supervisor/conf.d" if account else "/etc/supervisor/conf.d"
    commands = [
        *(["mkdir -p ~/.config/supervisor/conf.d"] if account else []),
        f"cp {to / file} {place}/",
        "supervisorctl update",
        f"supervisorctl status '{deployment.service}:*'",
        *(
            f"supervisorctl signal HUP {deployment.service}:{launch.name}"
            for launch in deployment.launches
            if launch.serves
        ),
    ]
    return Rendering({file: render("supervisor/programs.j2", deployment=deployment, account=account)}, commands)
