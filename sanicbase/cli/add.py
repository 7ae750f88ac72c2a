"""`sanicGuider add`: a new component of a service, with its test and its route."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from sanicbase.cli.codegen.generators import GENERATORS, plan_component
from sanicbase.cli.codegen.target import TargetService
from sanicbase.cli.project import current_project, resolve_service, service_names
from sanicbase.cli.scaffold.plan import Plan
from sanicbase.cli.scaffold.writer import write
from sanicbase.i18n import gettext as _

__all__ = ["add"]


@click.command()
@click.argument("kind", type=click.Choice(list(GENERATORS)))
@click.argument("name")
@click.option(
    "--service", shell_complete=service_names, help="The service to extend. Required if the project has several."
)
@click.option("--file", default="", help="For a model: its file in model_db/. By default the first.")
@click.option(
    "--text-ids",
    is_flag=True,
    help="For an api or rc: serialize 64-bit integers as strings, which JavaScript reads exactly.",
)
@click.option("--from-table", metavar="TABLE", help="For a model or an api: the database table to generate it from.")
@click.option("--connection", default="default", show_default=True, help="The connection whose database has TABLE.")
@click.option("--dry-run", is_flag=True, help="Show the files that would be written, without writing them.")
def add(kind: str, name: str, service: str | None, *, dry_run: bool, **given: Any) -> None:
    """Add a component NAME to a service, with its test and its route.

    If there is a model of that name, an api has views that list, create, read, update and delete its rows; otherwise
    it is one simple view. The first api, ws or timer of a service also creates its launch file. Existing lines are not
    changed, and running the command again changes nothing.

    With --from-table, the model has the columns, keys and indexes of an existing table of the database. The output
    lists what Tortoise does not support.
    """
    target = _target(resolve_service(service))
    try:
        plan, notes = _plan(kind, name, target, **given)
        if not plan.changes:
            click.echo(_("Everything already exists. Nothing was changed."))
            return
        click.echo(plan.tree())
        for sentence in notes:
            click.echo(f"- {sentence}")
        if dry_run:
            click.echo(plan.diff(), nl=False)
            return
        write(plan, target.project)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


def _plan(
    kind: str, name: str, target: TargetService, *, file: str, text_ids: bool, from_table: str | None, connection: str
) -> tuple[Plan, Sequence[str]]:
    """The plan, and notes for the user."""
    if from_table is None:
        return plan_component(kind, name, target, file=file, text_ids=text_ids), ()
    if kind not in ("model", "api"):
        raise click.UsageError(
            _("--from-table requires the kind model or api."),
        )
    from sanicbase.cli.codegen.from_table.plan import plan_of_table  # imports Tortoise

    return plan_of_table(kind, name, target, from_table, connection, file=file, text_ids=text_ids)


def _target(name: str) -> TargetService:
    project = current_project()
    service = project.service(name)
    if service is None:
        raise click.UsageError(
            _(
                "There is no service {name} in {folder}. Change to the project's folder.",
                name=name,
                folder=project.folder,
            )
        )
    return TargetService(project, service)
