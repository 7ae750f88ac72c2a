"""`sanicGuider config`: each setting of a service, and where its value came from."""

from __future__ import annotations

import os

import click

from sanicbase.cli.project import of_service
from sanicbase.cli.table import table
from sanicbase.config import Config
from sanicbase.config.overrides import is_overridden
from sanicbase.config.secrets import hidden
from sanicbase.config.sources import dotenv
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.terminal import say

__all__ = ["config"]


@click.command()
@of_service
@click.option("--set", "only_set", is_flag=True, help="Only what is set otherwise than by default.")
def config(service: str, only_set: bool) -> None:
    """Each setting of a SERVICE with its value and where that came from; secrets are hidden."""
    try:
        found = service_config(service)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
    rows = [(name, str(hidden(name, getattr(found, name))), _source(found, name)) for name in type(found).model_fields]
    default = say("default", "默认值")
    shown = [row for row in rows if not only_set or row[2] != default]
    head = (say("setting", "配置"), say("value", "值"), say("from", "来源"))
    click.echo(table([head, ("SERVER_NAME", found.SERVER_NAME, say("class", "类")), *shown]))


def _source(found: Config, name: str) -> str:
    """Where the value came from, looked for in the order in which a later one wins."""
    variable = f"{found.env_prefix()}{name}"
    if file := os.environ.get(f"{variable}_FILE"):
        return say(f"the file {file}", f"文件 {file}")
    if os.environ.get(variable):
        return say(f"environment {variable}", f"环境变量 {variable}")
    if dotenv(found.project_dir()).get(variable):
        return ".env"
    own = name not in Config.model_fields or is_overridden(type(found), name)
    return say("class", "类") if own else say("default", "默认值")
