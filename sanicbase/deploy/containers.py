"""A Dockerfile for the project, and a compose file that runs the image with PostgreSQL and Valkey."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from sanicbase.config import Config
from sanicbase.config.secrets import secret_settings
from sanicbase.deploy.deployment import DeployError, Deployment
from sanicbase.deploy.rendering import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["ACCOUNT", "compose", "image", "in_image", "missing_migrations", "secrets_of"]

ACCOUNT = 10001  # the uid in the image; no account of the host has it
PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
HEALTH = (
    "import http.client, os, sys; "
    "asked = http.client.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=4); "
    "asked.request('GET', '/livez'); "
    "sys.exit(asked.getresponse().status != 200)"
)


def image(deployment: Deployment, to: Path, *, python: str) -> Rendering:
    """A Dockerfile for all launch files of the service; the command decides which one runs."""
    if not PYTHON.fullmatch(python):
        raise DeployError(_("{python!r} is not a version of Python. Write one such as 3.13.", python=python))
    name = f"docker/{deployment.service}.Dockerfile"
    text = render(
        "docker/dockerfile.j2",
        deployment=deployment,
        python=python,
        account=ACCOUNT,
        requirements=_requirements(deployment.config.project_dir()),
        health=["python", "-c", HEALTH],
        logs=in_image(deployment, deployment.config.log_dir.parent),
    )
    ignored = render("docker/dockerignore.j2", deployment=deployment)
    commands = [f"docker build --file {to / name} --tag {deployment.service} .", *_runs(deployment)]
    return Rendering({name: text, f"{name}.dockerignore": ignored}, commands, missing_migrations(deployment))


def compose(deployment: Deployment, to: Path, *, python: str) -> Rendering:
    """The image, and a `docker compose` project that runs it, with secrets in files beside it."""
    built = image(deployment, to, python=python)
    name, secrets = f"compose/{deployment.service}.yaml", to / "compose" / "secrets"
    here, folder = deployment.config.project_dir(), (to / "compose").absolute()
    text = render(
        "compose/compose.j2",
        deployment=deployment,
        context=Path(os.path.relpath(here, folder)).as_posix(),
        dockerfile=Path(os.path.relpath(to.absolute() / f"docker/{deployment.service}.Dockerfile", here)).as_posix(),
        secrets=secrets_of(deployment.config),
        logs=in_image(deployment, deployment.config.log_dir.parent),
        account=ACCOUNT,
    )
    password, url = secrets / "DB_PASSWORD", f"postgres://{deployment.service}:%s@postgres:5432/{deployment.service}"
    commands = [
        f"install -d -m 0700 {secrets}",
        f"openssl rand -hex 24 > {password}",
        f"printf '{url}' \"$(cat {password})\" > {secrets / 'DB_URL'}",
        f"printf 'redis://valkey:6379/0' > {secrets / 'REDIS_URL'}",
        *(f"openssl rand -hex 24 > {secrets / setting}" for setting in secrets_of(deployment.config)[2:]),
        f"docker compose --file {to / name} up --build --detach",
    ]
    return Rendering({**built.files, name: text, "compose/.gitignore": "secrets/\n"}, commands, built.notes)


def secrets_of(config: Config) -> list[str]:
    """The settings that are passed in files: the URLs with their passwords, and the secrets that the service
    declares, among them those of sanicbase that it declares again."""
    declared = {name for base in type(config).__mro__ if base not in Config.__mro__ for name in base.__annotations__}
    return ["DB_URL", "REDIS_URL", *sorted(declared & set(secret_settings(type(config))))]


def missing_migrations(deployment: Deployment) -> list[str]:
    """A note when the image would have no migrations to apply."""
    migrations = deployment.config.project_dir() / "migrations"
    if (migrations / deployment.service).is_dir() or any(migrations.glob(f"*/{deployment.service}")):
        return []
    folder = f"migrations/{deployment.service}"
    command = f"sanicGuider migrate init {deployment.service}"
    return [
        _(
            "`sanicGuider migrate up` needs {folder}, which does not exist. Run {command} with the settings of a "
            "database of the same type.",
            folder=folder,
            command=command,
        )
    ]


def _runs(deployment: Deployment) -> list[str]:
    """The commands that run each launch file by hand."""
    commands = []
    for launch in deployment.launches:
        port = deployment.port(launch.kind)
        publish = f"--publish {port}:{port} --env HEALTH_PORT={port} " if launch.serves else "--no-healthcheck "
        commands.append(f"docker run --init --env-file .env {publish}{deployment.service} python {launch.file}")
    return commands


def _requirements(here: Path) -> str:
    """The file with the project's dependencies: `requirements.txt`, or `pyproject.toml`."""
    if (here / "requirements.txt").is_file():
        return "requirements.txt"
    try:
        project = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        project = {}
    if not project.get("dependencies"):
        raise DeployError(
            _(
                "{folder} has neither a requirements.txt nor a pyproject.toml that lists the packages of the "
                "image. Create one of them.",
                folder=here,
            )
        )
    return "pyproject.toml"


def in_image(deployment: Deployment, path: Path) -> str:
    """A path of the project inside the image."""
    here = deployment.config.project_dir()
    return f"/app/{path.relative_to(here).as_posix()}" if path.is_relative_to(here) else str(path)
