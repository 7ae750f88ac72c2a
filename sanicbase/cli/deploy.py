"""`sanicGuider deploy`: the deployment files of a service."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sanicbase.cli.project import service_argument
from sanicbase.deploy import containers, grafana, kubernetes, nginx, supervisor, systemd
from sanicbase.deploy.deployment import DeployError, Deployment, account_for, inspect_deployment
from sanicbase.deploy.rendering import Rendering, write
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config

__all__ = ["deploy"]

Command = Callable[..., None]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def _common(command: Command) -> Command:
    """The options of all commands."""
    for decorator in (
        click.option("--force", is_flag=True, help="Replace files that were changed."),
        click.option(
            "--to",
            metavar="PATH",
            type=click.Path(path_type=Path),
            default=Path("deploy"),
            help="The folder to write into.",
        ),
        service_argument,
    ):
        command = decorator(command)
    return command


def _machine(command: Command) -> Command:
    """The options of commands whose files run the launch files on a machine."""
    folder = click.Path(path_type=Path)
    for decorator in (
        click.option("--elsewhere", is_flag=True, help="The paths and the account belong to another machine."),
        click.option("--account", is_flag=True, help="For an unprivileged account, without root."),
        click.option(
            "--user",
            default="",
            help="The account that runs the service. By default the owner of the project's folder.",
        ),
        click.option("--python", metavar="PATH", type=folder, default=Path(sys.executable), help="The interpreter."),
        click.option("--directory", metavar="PATH", type=folder, help="The project's folder on the machine."),
    ):
        command = decorator(command)
    return _common(command)


class _DeployGroup(click.Group):
    """A group whose commands report an error by its message, and exit with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (DeployError, UsageError) as exc:
            raise click.ClickException(str(exc)) from exc


@click.group(name="deploy", cls=_DeployGroup)
def deploy() -> None:
    """Render the deployment files of a service into deploy/."""


@deploy.command(name="systemd")
@_machine
def systemd_(service: str, *, account: bool, **options: Any) -> None:
    """Render systemd units: one per launch file of SERVICE, and a target for all."""
    deployment = _deployment(service, account=account, **options)
    units = systemd.account_units if account else systemd.root_units
    _write(units(deployment, options["to"]), **options)


@deploy.command(name="supervisor")
@_machine
def supervisor_(service: str, *, account: bool, **options: Any) -> None:
    """Render supervisor programs: one per launch file of SERVICE."""
    deployment = _deployment(service, account=account, **options)
    _write(supervisor.programs(deployment, options["to"], account=account), **options)


@deploy.command(name="nginx")
@_common
@click.option(
    "--directory", metavar="PATH", type=click.Path(path_type=Path), help="The project's folder on the machine."
)
@click.option("--server-name", default="_", help="The server name of requests. By default any.")
@click.option("--listen", type=click.IntRange(1, 65535), default=80, help="The port for clients.")
@click.option("--http", multiple=True, help="HOST:PORT of an instance of the HTTP service. May be repeated.")
@click.option("--ws", multiple=True, help="HOST:PORT of an instance of the WebSocket service. May be repeated.")
def nginx_(service: str, *, directory: Path | None, to: Path, force: bool, **address: Any) -> None:
    """Render an nginx site: HTTP and WebSockets of SERVICE at one address."""
    _write(nginx.proxy(_deployment_elsewhere(service, directory), to, **address), to=to, force=force)


@deploy.command()
@_common
@click.option("--python-version", default=PYTHON, help="The version of Python in the image.")
def docker(service: str, *, python_version: str, to: Path, force: bool) -> None:
    """Render a Dockerfile for all launch files of SERVICE."""
    _write(containers.image(_deployment_elsewhere(service), to, python=python_version), to=to, force=force)


@deploy.command()
@_common
@click.option("--python-version", default=PYTHON, help="The version of Python in the image.")
def compose(service: str, *, python_version: str, to: Path, force: bool) -> None:
    """Render the Dockerfile, and a compose file of SERVICE with PostgreSQL and Valkey."""
    _write(containers.compose(_deployment_elsewhere(service), to, python=python_version), to=to, force=force)


@deploy.command()
@_common
@click.option("--image", help="The image and its tag. By default the service's name.")
@click.option("--replicas", type=click.IntRange(1), default=2, help="The number of pods per launch file.")
def k8s(service: str, *, image: str | None, replicas: int, to: Path, force: bool) -> None:
    """Render the Kubernetes manifests of SERVICE."""
    rendering = kubernetes.manifests(
        _deployment_elsewhere(service), to, image=image or f"{service}:latest", replicas=replicas
    )
    _write(rendering, to=to, force=force)


@deploy.command(name="grafana")
@_common
@click.option("--job", help="The job_name of the service in prometheus.yml. By default the service's name.")
def grafana_(service: str, *, job: str | None, to: Path, force: bool) -> None:
    """Render a Grafana dashboard of SERVICE, and alert rules for Prometheus."""
    rendering = grafana.dashboard_and_rules(_deployment_elsewhere(service), to, job=job or service)
    _write(rendering, to=to, force=force)


def _deployment(
    service: str, *, directory: Path | None, python: Path, user: str, account: bool, elsewhere: bool, **rest: Any
) -> Deployment:
    """The service on the machine that the options describe."""
    if account and user:
        raise DeployError(_("Use either --user, for files of root, or --account."))
    config = service_config(service)
    runs_as = "" if account else user or account_for(directory or config.project_dir())
    return inspect_deployment(config, directory=directory, python=python, account=runs_as, elsewhere=elsewhere)


def _deployment_elsewhere(service: str, directory: Path | None = None) -> Deployment:
    """The service, for files that do not depend on a machine."""
    return inspect_deployment(service_config(service), directory=directory, python=Path(sys.executable), elsewhere=True)


def _write(rendering: Rendering, *, to: Path, force: bool, **rest: Any) -> None:
    """Write the files, and print their names and the next commands."""
    written = write(rendering.files, to, force=force)
    for path in written:
        click.echo(_("Wrote {path}.", path=path))
    if not written:
        click.echo(_("All files already exist."))
    for note in rendering.notes:
        click.echo(_("Note: {note}", note=note))
    click.echo(_("Next:"))
    for line in rendering.commands:
        click.echo(f"  {line}")
