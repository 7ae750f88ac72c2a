"""`sanicGuider config`: the settings of a service, and the source of each value."""

from __future__ import annotations

import os

import click

from sanicbase.cli.project import service_argument
from sanicbase.cli.table import table
from sanicbase.config import Config
from sanicbase.config.overrides import is_overridden
from sanicbase.config.secrets import hidden
from sanicbase.config.sources import dotenv
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config

__all__ = ["config"]


@click.command()
@service_argument
@click.option("--set", "only_set", is_flag=True, help="Only settings that differ from their defaults.")
def config(service: str, only_set: bool) -> None:
    """List the settings of a SERVICE, with their values and sources. Secrets are hidden."""
    try:
        settings = service_config(service)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
    rows = [
        (name, str(hidden(name, getattr(settings, name))), _source(settings, name))
        for name in type(settings).model_fields
    ]
    default = _("default")
    shown = [row for row in rows if not only_set or row[2] != default]
    head = (_("setting"), _("value"), _("from"))
    click.echo(table([head, ("SERVER_NAME", settings.SERVER_NAME, _("class")), *shown]))


def _source(settings: Config, name: str) -> str:
    """The source of the value, by precedence."""
    variable = f"{settings.env_prefix()}{name}"
    if file := os.environ.get(f"{variable}_FILE"):
        return _("the file {file}", file=file)
    if os.environ.get(variable):
        return _("environment {variable}", variable=variable)
    if dotenv(settings.project_dir()).get(variable):
        return ".env"
    from_class = name not in Config.model_fields or is_overridden(type(settings), name)
    return _("class") if from_class else _("default")
