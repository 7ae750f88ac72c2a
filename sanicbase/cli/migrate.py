"""`sanicGuider migrate`: the migrations of services."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from sanicbase.cli.migration_output.listing import history_of, script_of
from sanicbase.cli.migration_output.progress import Progress
from sanicbase.cli.project import current_project, resolve_service, service_names
from sanicbase.config import Config
from sanicbase.db.relations import migrated_models
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.migrations.apply import apply, revert
from sanicbase.migrations.autogenerate import empty_draft, initial_draft, last_state, next_draft, write_draft
from sanicbase.migrations.checks.check import LARGE, CheckOptions, check_label
from sanicbase.migrations.checks.findings import Finding, Severity, format_finding
from sanicbase.migrations.files import migrations_in
from sanicbase.migrations.lock import LOCK_TIMEOUT
from sanicbase.migrations.plan import plan as plan_migrations
from sanicbase.migrations.renames import RenameAnswers, ask_at_terminal
from sanicbase.migrations.selection import Options, migrations_to_revert
from sanicbase.migrations.status import Label, check_label_dialect, labels_of, migration_databases, read_status
from sanicbase.migrations.versions import check_referenced_tables

__all__ = ["migrate"]

T = TypeVar("T")
Command = Callable[..., None]

PENDING = 3  # the status of `plan` when migrations are pending; 1 is a failure, 2 a usage error
FINDINGS = 3  # the status of `check` when there are findings


@click.group()
def migrate() -> None:
    """Migrate the tables of services to their models. Only one process at a time migrates a database.

    The files are aerich's, so aerich's commands work with them as well. The exit status is 0 on success, 1 on failure,
    and 2 on a usage error.
    """


def _service_options(command: Command) -> Command:
    """The options [SERVICE] or --all, and --connection."""
    for decorator in (
        click.option("--connection", help="Only the models on this connection."),
        click.option("--all", "all_services", is_flag=True, help="All services of the project, one after another."),
        click.argument("service", required=False, shell_complete=service_names),
    ):
        command = decorator(command)
    return command


NO_INPUT = click.option("--no-input", is_flag=True, help="Do not prompt.")
TIMEOUT = click.option(
    "--timeout", default=LOCK_TIMEOUT, show_default=True, help="Seconds to wait while another process migrates."
)
FAKE = click.option("--fake", is_flag=True, help="Record the migrations without executing them.")


@migrate.command()
@_service_options
@NO_INPUT
def init(service: str | None, connection: str | None, *, all_services: bool, no_input: bool) -> None:
    """Write the first migration of SERVICE, which creates all tables of its models. `up` applies it."""

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            if migrations_in(label.folder):
                folder = _relative(label.folder)
                click.echo(_("{label} already has migrations in {folder}.", label=label.name, folder=folder))
            elif label.needs_migrations or label.name == config.SERVER_NAME:
                _report_written(
                    write_draft(
                        label.folder, "init", initial_draft(label.name, label.connection, label.dialect, safe=True)
                    )
                )

    _for_each_service(_names(service, all_services=all_services), connection, work)


@migrate.command()
@_service_options
@click.option("--name", default="update", show_default=True, help="The name of the file after its number.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD:NEW",
    help="A rename: goods:product, or a.b:c.",
)
@click.option("--drop", "dropped", multiple=True, metavar="OLD", help="A removed table or column that was not renamed.")
@click.option("--empty", is_flag=True, help="Write a file without statements, for a data migration.")
@NO_INPUT
def make(
    service: str | None,
    connection: str | None,
    name: str,
    renames: tuple[str, ...],
    dropped: tuple[str, ...],
    *,
    all_services: bool,
    empty: bool,
    no_input: bool,
) -> None:
    """Write the next migration of SERVICE from the changes of its models. `up` applies it.

    Asks whether a removed and an added table or column are a rename. Without a terminal, or with --no-input, answer
    with --rename and --drop.
    """
    answers = RenameAnswers(dict(map(_rename, renames)), dropped)
    ask = None if no_input or not sys.stdin.isatty() else ask_at_terminal

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            if (last := last_state(label.folder)) is None:
                _report_no_migrations(label)
                continue
            if empty:
                _report_written(write_draft(label.folder, name, empty_draft(label.dialect, last)))
                continue
            draft = next_draft(label.name, label.connection, label.dialect, last, answers, ask)
            if draft.upgrade:
                _report_written(write_draft(label.folder, name, draft))
            else:
                click.echo(_("{label}: no changes.", label=label.name))

    _for_each_service(_names(service, all_services=all_services), connection, work)


def _report_no_migrations(label: Label) -> None:
    there, init = _relative(label.folder), f"sanicGuider migrate init {label.service}"
    click.echo(
        _(
            "{label}: no migrations in {folder} yet. Write the first: {command}",
            label=label.name,
            folder=there,
            command=init,
        )
    )


def _rename(value: str) -> tuple[str, str]:
    old, colon, new = value.partition(":")
    if not (old and colon and new):
        raise click.UsageError(_("--rename {value} is invalid. Write --rename OLD:NEW.", value=value))
    return old, new


def _report_written(path: Path) -> None:
    click.echo(_("Wrote {path}.", path=_relative(path)))


def _relative(path: Path) -> str:
    return os.path.relpath(path)


@migrate.command()
@_service_options
@click.option("--to", default="", metavar="VERSION", help="The last migration to apply: its number or its name.")
@FAKE
@click.option("--out-of-order", is_flag=True, help="Also apply migrations that precede an applied one.")
@click.option("--skip-statement", is_flag=True, help="Continue after the failed statement, which was executed by hand.")
@TIMEOUT
@NO_INPUT
def up(
    service: str | None, connection: str | None, *, all_services: bool, no_input: bool, timeout: float, **given: Any
) -> None:
    """Apply the pending migrations of SERVICE.

    Only one process at a time migrates a database; others wait. A migration that failed on MySQL continues at the
    failed statement.
    """
    options = Options(lock_timeout=timeout, **given)

    async def work(config: Config, labels: list[Label]) -> None:
        progress = Progress()
        if not options.fake:
            await check_referenced_tables(config.SERVER_NAME, migrated_models(config))
        try:
            if not await apply(config, labels, options, progress):
                click.echo(_("{service}: nothing to apply.", service=config.SERVER_NAME))
        finally:
            progress.end()

    _for_each_service(_names(service, all_services=all_services), connection, work)


@migrate.command()
@_service_options
@click.option("--to", default="", metavar="VERSION", help="The last migration to show: its number or its name.")
@NO_INPUT
def plan(service: str | None, connection: str | None, to: str, *, all_services: bool, no_input: bool) -> None:
    """Print the SQL that `up` would execute for SERVICE, and what each statement locks. Nothing is changed.

    The exit status is 3 when migrations are pending, and 0 otherwise.
    """

    async def work(config: Config, labels: list[Label]) -> int:
        total, has_migrations = 0, False
        for label in labels:
            check_label_dialect(config, label)
            status = await read_status(label)
            has_migrations = has_migrations or bool(status.migrations)
            for sentence in status.warnings():
                Progress().warning(sentence)
            plans = await plan_migrations(status, Options(to=to))
            if plans:
                click.echo(script_of(status, plans))
            total += len(plans)
        if not has_migrations:
            click.echo(_("-- {service} has no migrations, so there is nothing to apply.", service=config.SERVER_NAME))
        elif not total:
            click.echo(_("-- {service}: nothing to apply.", service=config.SERVER_NAME))
        return total

    sys.exit(PENDING if sum(_for_each_service(_names(service, all_services=all_services), connection, work)) else 0)


@migrate.command()
@_service_options
@click.option(
    "--large",
    type=click.IntRange(1),
    default=LARGE,
    show_default=True,
    help="Tables with at least this number of rows count as large.",
)
@click.option("--filled", is_flag=True, help="Treat every table as large, for an empty database.")
@click.option("--errors", is_flag=True, help="Omit warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@NO_INPUT
def check(
    service: str | None,
    connection: str | None,
    *,
    all_services: bool,
    large: int,
    filled: bool,
    errors: bool,
    as_json: bool,
    no_input: bool,
) -> None:
    """Check the pending migrations of SERVICE, its models and its databases for problems. Nothing is changed.

    Each finding has its remedy. The status is 3 when something is found that no comment accepts, and 0 otherwise.
    """
    severities: list[Severity] = ["error"] if errors else ["error", "warning"]

    async def work(config: Config, labels: list[Label]) -> list[tuple[str, Finding]]:
        return [
            (label.name, finding)
            for label in labels
            for finding in await check_label(config, label, CheckOptions(large, filled))
            if finding.severity in severities
        ]

    names = _names(service, all_services=all_services)
    findings = [finding for group in _for_each_service(names, connection, work) for finding in group]
    if as_json:
        listed = [{"label": label, **asdict(finding)} for label, finding in findings]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
    else:
        _show(findings, names)
    sys.exit(FINDINGS if findings else 0)


def _show(findings: Sequence[tuple[str, Finding]], services: Sequence[str]) -> None:
    if not findings:
        listed = ", ".join(services)
        click.echo(_("{labels}: no findings.", labels=listed))
    for label, finding in findings:
        text = format_finding(finding).removeprefix(finding.severity)
        mark = click.style(finding.severity, fg="red" if finding.severity == "error" else "yellow")
        click.echo(f"{mark}{text}" if finding.file else f"{mark} {label}:{text}")


@migrate.command()
@click.argument("service", required=False, shell_complete=service_names)
@click.option(
    "--connection", default="default", show_default=True, help="The connection whose migrations are reverted."
)
@click.option("--to", default="", metavar="VERSION", help="The last migration to keep. By default all but the last.")
@FAKE
@TIMEOUT
@NO_INPUT
def down(service: str | None, connection: str, *, no_input: bool, timeout: float, **given: Any) -> None:
    """Revert the last migration of SERVICE, or all after VERSION. Rows may be lost."""
    options = Options(lock_timeout=timeout, **given)

    async def work(config: Config, labels: list[Label]) -> None:
        names = [migration.name for migration in migrations_to_revert(await read_status(labels[0]), options)]
        if not names:
            name = config.SERVER_NAME
            click.echo(_("{service}: nothing to revert.", service=name))
            return
        if not no_input:
            _confirm(names)
        progress = Progress()
        try:
            await revert(config, labels[0], options, progress)
        finally:
            progress.end()

    _for_each_service([resolve_service(service)], connection, work)


@migrate.command()
@_service_options
@NO_INPUT
def history(service: str | None, connection: str | None, *, all_services: bool, no_input: bool) -> None:
    """List the migrations of SERVICE: which are applied, and when."""

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            status = await read_status(label)
            click.echo(history_of(status))
            for sentence in status.warnings():
                Progress().warning(sentence)

    _for_each_service(_names(service, all_services=all_services), connection, work)


def _confirm(names: Sequence[str]) -> None:
    listed = ", ".join(names)
    if not sys.stdin.isatty():
        raise click.UsageError(
            _(
                "Reverting {labels} may delete rows, and there is no terminal for a confirmation. Use "
                "--no-input to confirm.",
                labels=listed,
            )
        )
    click.confirm(_("Revert {labels}? Rows may be lost.", labels=listed), abort=True)


def _names(service: str | None, *, all_services: bool) -> list[str]:
    if not all_services:
        return [resolve_service(service)]
    if service:
        raise click.UsageError(_("Specify a service or --all, not both."))
    return [project_service.name for project_service in current_project().services()] or [resolve_service(None)]


def _owners_first(configs: Sequence[Config]) -> list[Config]:
    """Order the services so that owners of shared models come first, because other tables may refer to theirs."""
    ordered: list[Config] = []
    waiting = [*configs]
    while waiting:
        names = {config.SERVER_NAME for config in waiting}
        free = (
            candidate
            for candidate in waiting
            if not names & ({*candidate.shared_labels().values()} - {candidate.SERVER_NAME})
        )
        config = next(free, waiting[0])  # two that use each other's
        waiting.remove(config)
        ordered.append(config)
    return ordered


def _for_each_service(
    services: Sequence[str], connection: str | None, work: Callable[[Config, list[Label]], Awaitable[T]]
) -> list[T]:
    """Call the function for each service with its databases open, and return the results. The first failure ends it."""

    async def run(config: Config) -> T:
        async with migration_databases(config) as opened:
            return await work(opened, labels_of(opened, connection))

    return [asyncio.run(run(config)) for config in _owners_first([*map(_config, services)])]


def _config(service: str) -> Config:
    try:
        return service_config(service)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
