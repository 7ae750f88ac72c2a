"""nginx as the reverse proxy: HTTP and WebSockets at one address, and the settings by which the service trusts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sanicbase.config.addresses import check_host
from sanicbase.deploy.deployment import DeployError, Deployment, Kind
from sanicbase.deploy.rendering import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["proxy"]

ADDRESS = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:]+\]):(\d{1,5})")
SERVER_NAME = re.compile(r"[\w.*~^$\\-]+")
MARGIN = 5  # seconds that nginx waits longer than the service, so that clients get the service's response


def proxy(
    deployment: Deployment, to: Path, *, server_name: str, listen: int, http: Sequence[str] = (), ws: Sequence[str] = ()
) -> Rendering:
    """A file for /etc/nginx/conf.d, and lines for the service's `.env`.

    `http` and `ws` are the addresses of the service's copies, by default on this machine.
    """
    if not SERVER_NAME.fullmatch(server_name):
        raise DeployError(
            _("{server_name!r} is not a server name. Write one such as example.com.", server_name=server_name)
        )
    upstreams = {"http": _upstream(deployment, "http", http), "ws": _upstream(deployment, "ws", ws)}
    if not any(upstreams.values()):
        raise DeployError(
            _(
                "{service} has neither an HTTP nor a WebSocket service, so nginx has nothing to proxy.",
                service=deployment.service,
            )
        )
    conf, env = f"nginx/{deployment.service}.conf", f"nginx/{deployment.service}.env"
    facts = {
        "deployment": deployment,
        "upstreams": upstreams,
        "server_name": server_name,
        "hosts": _hosts(server_name),
        "listen": listen,
        "margin": MARGIN,
    }
    commands = [
        f"cat {to / env} >> {deployment.directory / '.env'}",
        f"cp {to / conf} /etc/nginx/conf.d/",
        "nginx -t",
        "service nginx reload",
    ]
    files = {conf: render("nginx/site.j2", **facts), env: render("nginx/env.j2", **facts)}
    return Rendering(files, commands)


def _hosts(server_name: str) -> list[str]:
    """The names for ALLOWED_HOSTS; none for `_` and for patterns, which only nginx knows."""
    host = f".{server_name.removeprefix('*.')}" if server_name.startswith("*.") else server_name
    try:
        return [] if host == "_" else [check_host(host)]
    except ValueError:
        return []


def _upstream(deployment: Deployment, kind: Kind, addresses: Sequence[str]) -> list[str]:
    """The addresses of a kind. Raises DeployError for addresses of a kind without a launch file."""
    if deployment.launch(kind) is None:
        if addresses:
            raise DeployError(
                _(
                    "{kind}_{service}.py does not exist, so {address} has no target.",
                    kind=kind,
                    service=deployment.service,
                    address=addresses[0],
                )
            )
        return []
    for address in addresses:
        match = ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[1]) < 65536:
            example = f"10.0.0.1:{deployment.port(kind)}"
            raise DeployError(
                _(
                    "{address!r} is not an address. Write HOST:PORT, such as {example}.",
                    address=address,
                    example=example,
                )
            )
    return list(addresses) or [f"127.0.0.1:{deployment.port(kind)}"]
