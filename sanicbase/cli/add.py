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
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
def add(kind: str, name: str, service: str | None, *, dry_run: bool, **given: Any) -> None:
    """Add a component NAME to a service, with its test and its route.

    An api over a model of that name has views to list, write, read, change and delete its rows; without such a model
    it is one plain view. The first api, ws or timer of a service makes its launch file too. Lines that are there stay
    as they are, and a second time changes nothing.

    With --from-table the model has the columns, keys and indexes of a table that the database has already; what
    Tortoise has no word for is told.
    """
    target = _target(resolve_service(service))
    try:
        plan, notes = _plan(kind, name, target, **given)
        if not plan.changes:
            click.echo(_("Everything exists already. Nothing was changed."))
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
    """The plan, and notes about it."""
    if from_table is None:
        return plan_component(kind, name, target, file=file, text_ids=text_ids), ()
    if kind not in ("model", "api"):
        raise click.UsageError(
            _("--from-table requires the kind model or api."),
        )
    from sanicbase.cli.codegen.from_table.plan import plan_of_table  # which takes Tortoise along

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
