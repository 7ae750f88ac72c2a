"""The command group, whose commands work in the current folder."""

from __future__ import annotations

import click

from sanicbase.cli.help import Guider
from sanicbase.cli.project import current_project

__all__ = ["main"]

MODULES = (
    "new",
    "add",
    "run",
    "shell",
    "routes",
    "config",
    "openapi",
    "errors",
    "cache",
    "jobs",
    "timers",
    "top",
    "doctor",
    "migrate",
    "deploy",
)


@click.group(
    cls=Guider,
    modules=MODULES,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.pass_context
def main(context: click.Context) -> None:
    """The commands of a project. Run them in its folder. Without a command, you are guided to a new service."""
    current_project()
    if context.invoked_subcommand is None:
        from sanicbase.cli.new import guide

        guide()
