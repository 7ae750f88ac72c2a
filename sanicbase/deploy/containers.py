"""An image of the project, and a compose file that runs it beside a PostgreSQL and a Valkey."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from sanicbase.config import Config
from sanicbase.config.secrets import secret_settings
from sanicbase.deploy.site import DeployError, Site
from sanicbase.deploy.writing import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["ACCOUNT", "compose", "image", "in_image", "migrations_missing", "secrets_of"]

ACCOUNT = 10001  # the number of the account in the image; none of the machine's own has it
PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
HEALTH = (
    "import http.client, os, sys; "
    "asked = http.client.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=4); "
    "asked.request('GET', '/livez'); "
    "sys.exit(asked.getresponse().status != 200)"
)


def image(site: Site, to: Path, *, python: str) -> Rendering:
    """A Dockerfile for all launch files of the service; which of them runs is said by the command."""
    if not PYTHON.fullmatch(python):
        raise DeployError(_("{python!r} is no version of Python: write one such as 3.13.", python=python))
    name = f"docker/{site.service}.Dockerfile"
    text = render(
        "docker/dockerfile.j2",
        site=site,
        python=python,
        account=ACCOUNT,
        requirements=_requirements(site.config.project_dir()),
        health=["python", "-c", HEALTH],
        logs=in_image(site, site.config.log_dir.parent),
    )
    ignored = render("docker/dockerignore.j2", site=site)
    commands = [f"docker build --file {to / name} --tag {site.service} .", *_runs(site)]
    return Rendering({name: text, f"{name}.dockerignore": ignored}, commands, migrations_missing(site))


def compose(site: Site, to: Path, *, python: str) -> Rendering:
    """The image, and a project of it for `docker compose`, with secrets in files beside it."""
    built = image(site, to, python=python)
    name, secrets = f"compose/{site.service}.yaml", to / "compose" / "secrets"
    here, folder = site.config.project_dir(), (to / "compose").absolute()
    text = render(
        "compose/compose.j2",
        site=site,
        context=Path(os.path.relpath(here, folder)).as_posix(),
        dockerfile=Path(os.path.relpath(to.absolute() / f"docker/{site.service}.Dockerfile", here)).as_posix(),
        secrets=secrets_of(site.config),
        logs=in_image(site, site.config.log_dir.parent),
        account=ACCOUNT,
    )
    password, url = secrets / "DB_PASSWORD", f"postgres://{site.service}:%s@postgres:5432/{site.service}"
    commands = [
        f"install -d -m 0700 {secrets}",
        f"openssl rand -hex 24 > {password}",
        f"printf '{url}' \"$(cat {password})\" > {secrets / 'DB_URL'}",
        f"printf 'redis://valkey:6379/0' > {secrets / 'REDIS_URL'}",
        *(f"openssl rand -hex 24 > {secrets / each}" for each in secrets_of(site.config)[2:]),
        f"docker compose --file {to / name} up --build --detach",
    ]
    return Rendering({**built.files, name: text, "compose/.gitignore": "secrets/\n"}, commands, built.notes)


def secrets_of(config: Config) -> list[str]:
    """The settings that are handed over in files: the addresses with their passwords, and the service's own secrets."""
    own = set(secret_settings(type(config))) - Config.model_fields.keys()
    return ["DB_URL", "REDIS_URL", *sorted(own)]


def migrations_missing(site: Site) -> list[str]:
    """A sentence when the image would have no migrations to apply."""
    migrations = site.config.project_dir() / "migrations"
    if (migrations / site.service).is_dir() or any(migrations.glob(f"*/{site.service}")):
        return []
    folder = f"migrations/{site.service}"
    commands = f"aerich init -t {site.service}.config.migrate_db && aerich init-db"
    return [
        _(
            "There is no {folder} yet, and `sanicGuider migrate up` needs it: run {commands} on a database of the "
            "same kind.",
            folder=folder,
            commands=commands,
        )
    ]


def _runs(site: Site) -> list[str]:
    """How each of the launch files is run by hand."""
    commands = []
    for launch in site.launches:
        port = site.port(launch.kind)
        publish = f"--publish {port}:{port} --env HEALTH_PORT={port} " if launch.serves else "--no-healthcheck "
        commands.append(f"docker run --init --env-file .env {publish}{site.service} python {launch.file}")
    return commands


def _requirements(here: Path) -> str:
    """Where the project says what it needs: `requirements.txt`, or `pyproject.toml`."""
    if (here / "requirements.txt").is_file():
        return "requirements.txt"
    try:
        project = tomllib.loads((here / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        project = {}
    if not project.get("dependencies"):
        raise DeployError(
            _(
                "Neither a requirements.txt nor a pyproject.toml in {folder} names the packages that an image "
                "needs: write one of them.",
                folder=here,
            )
        )
    return "pyproject.toml"


def in_image(site: Site, path: Path) -> str:
    """A path of the project as it is in the image."""
    here = site.config.project_dir()
    return f"/app/{path.relative_to(here).as_posix()}" if path.is_relative_to(here) else str(path)
