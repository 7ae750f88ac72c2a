"""`sanicGuider migrate`: the tables of services, brought to the models."""

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

from sanicbase.cli.migrating.listing import history_of, script_of
from sanicbase.cli.migrating.progress import Progress
from sanicbase.cli.project import guessed_service, here, service_names
from sanicbase.config import Config
from sanicbase.db.relations import migrated_models
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.migrations.applying import apply, take_back
from sanicbase.migrations.checking.check import LARGE, Depth, check_label
from sanicbase.migrations.checking.findings import Finding, Severity, text_of
from sanicbase.migrations.choosing import Options, to_be_taken_back
from sanicbase.migrations.files import migrations_in
from sanicbase.migrations.locking import LOCK_TIMEOUT
from sanicbase.migrations.making import draft, empty_draft, first, last_state, write
from sanicbase.migrations.planning import plan as planned
from sanicbase.migrations.renaming import Answers, ask_at_terminal
from sanicbase.migrations.standing import Label, labels_of, migrating, read_standing, refuse_foreign
from sanicbase.migrations.versions import refuse_before_owners

__all__ = ["migrate"]

T = TypeVar("T")
Command = Callable[..., None]

PENDING = 3  # the status of `plan` when something is to be applied; 1 and 2 are failures and wrong usage
FOUND = 3  # the status of `check` when it has found something


@click.group()
def migrate() -> None:
    """Bring the tables of services to their models, once over all machines.

    The files are aerich's, and aerich's own commands work on them as well. The status is 0 when it is done or nothing
    was to be done, 1 when it has failed, 2 when the command was wrong.
    """


def _of_services(command: Command) -> Command:
    """[SERVICE] or --all, and a connection of it."""
    for decorator in (
        click.option("--connection", help="Only the models on this connection of the service."),
        click.option("--all", "every", is_flag=True, help="All services of the project, one after another."),
        click.argument("service", required=False, shell_complete=service_names),
    ):
        command = decorator(command)
    return command


NO_INPUT = click.option("--no-input", is_flag=True, help="Ask nothing.")
TIMEOUT = click.option(
    "--timeout", default=LOCK_TIMEOUT, show_default=True, help="Seconds to wait while another process migrates."
)
FAKE = click.option("--fake", is_flag=True, help="Note the migrations without carrying them out.")


@migrate.command()
@_of_services
@NO_INPUT
def init(service: str | None, connection: str | None, *, every: bool, no_input: bool) -> None:
    """Write the first migration of SERVICE, which makes all tables of its models. `up` applies it."""

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            if migrations_in(label.folder):
                there = _shown(label.folder)
                click.echo(_("{label} has migrations in {folder}.", label=label.name, folder=there))
            elif label.needs_migrations or label.name == config.SERVER_NAME:
                _written(write(label.folder, "init", first(label.name, label.connection, label.dialect, safe=True)))

    _each(_names(service, every=every), connection, work)


@migrate.command()
@_of_services
@click.option("--name", default="update", show_default=True, help="What the file is called behind its number.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD:NEW",
    help="What was renamed: goods:product, or a.b:c.",
)
@click.option("--drop", "dropped", multiple=True, metavar="OLD", help="What is gone and was not renamed.")
@click.option("--empty", is_flag=True, help="Write a file without statements, for a migration of rows.")
@NO_INPUT
def make(
    service: str | None,
    connection: str | None,
    name: str,
    renames: tuple[str, ...],
    dropped: tuple[str, ...],
    *,
    every: bool,
    empty: bool,
    no_input: bool,
) -> None:
    """Write a migration of SERVICE from its last one to the models. `up` applies it.

    Asks whether what is gone and what is new are one thing that was renamed. Without a terminal, or with --no-input,
    --rename and --drop have to say it.
    """
    answers = Answers(dict(map(_rename, renames)), dropped)
    ask = None if no_input or not sys.stdin.isatty() else ask_at_terminal

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            if (last := last_state(label.folder)) is None:
                _has_none(label)
                continue
            if empty:
                _written(write(label.folder, name, empty_draft(label.dialect, last)))
                continue
            made = draft(label.name, label.connection, label.dialect, last, answers, ask)
            if made.upgrade:
                _written(write(label.folder, name, made))
            else:
                click.echo(_("{label}: no changes.", label=label.name))

    _each(_names(service, every=every), connection, work)


def _has_none(label: Label) -> None:
    there, init = _shown(label.folder), f"sanicGuider migrate init {label.service}"
    click.echo(
        _(
            "{label}: no migrations in {folder} yet. Write the first: {command}",
            label=label.name,
            folder=there,
            command=init,
        )
    )


def _rename(said: str) -> tuple[str, str]:
    old, colon, new = said.partition(":")
    if not (old and colon and new):
        raise click.UsageError(_("--rename {value} does not say what to what. Write --rename OLD:NEW.", value=said))
    return old, new


def _written(path: Path) -> None:
    click.echo(_("Wrote {path}.", path=_shown(path)))


def _shown(path: Path) -> str:
    return os.path.relpath(path)


@migrate.command()
@_of_services
@click.option("--to", default="", metavar="VERSION", help="The last migration to apply: its number or its name.")
@FAKE
@click.option("--out-of-order", is_flag=True, help="Apply also what comes before a migration that is applied.")
@click.option(
    "--skip-statement", is_flag=True, help="Go on behind the statement that has failed: it was carried out by hand."
)
@TIMEOUT
@NO_INPUT
def up(
    service: str | None, connection: str | None, *, every: bool, no_input: bool, timeout: float, **given: Any
) -> None:
    """Apply what the databases of SERVICE lack.

    One process at a time migrates a database, and the others wait for it. What has stopped half-way on MySQL goes on
    at the statement that failed.
    """
    options = Options(lock_timeout=timeout, **given)

    async def work(config: Config, labels: list[Label]) -> None:
        progress = Progress()
        if not options.fake:
            await refuse_before_owners(config.SERVER_NAME, migrated_models(config))
        try:
            if not await apply(config, labels, options, progress):
                click.echo(_("{service}: nothing to apply.", service=config.SERVER_NAME))
        finally:
            progress.end()

    _each(_names(service, every=every), connection, work)


@migrate.command()
@_of_services
@click.option("--to", default="", metavar="VERSION", help="The last migration to show: its number or its name.")
@NO_INPUT
def plan(service: str | None, connection: str | None, to: str, *, every: bool, no_input: bool) -> None:
    """Print the SQL that `up` would carry out for SERVICE, and what each statement locks. Nothing is changed.

    The status is 3 when there is something to be applied, and 0 when there is not.
    """

    async def work(config: Config, labels: list[Label]) -> int:
        found = 0
        for label in labels:
            refuse_foreign(config, label)
            standing = await read_standing(label)
            for sentence in standing.warnings():
                Progress().warning(sentence)
            plans = await planned(standing, Options(to=to))
            if plans:
                click.echo(script_of(standing, plans))
            found += len(plans)
        if not found:
            click.echo(_("-- {service}: nothing to apply.", service=config.SERVER_NAME))
        return found

    sys.exit(PENDING if sum(_each(_names(service, every=every), connection, work)) else 0)


@migrate.command()
@_of_services
@click.option(
    "--large", type=click.IntRange(1), default=LARGE, show_default=True, help="Rows of a table on which locks are felt."
)
@click.option("--filled", is_flag=True, help="Take every table for a large one, where the database is empty.")
@click.option("--errors", is_flag=True, help="Leave warnings out.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@NO_INPUT
def check(
    service: str | None,
    connection: str | None,
    *,
    every: bool,
    large: int,
    filled: bool,
    errors: bool,
    as_json: bool,
    no_input: bool,
) -> None:
    """Say what may go wrong with the pending migrations of SERVICE, its models and its databases. Nothing is changed.

    Each finding has its remedy. The status is 3 when something is found that no comment accepts, and 0 otherwise.
    """
    severities: list[Severity] = ["error"] if errors else ["error", "warning"]

    async def work(config: Config, labels: list[Label]) -> list[tuple[str, Finding]]:
        return [
            (label.name, finding)
            for label in labels
            for finding in await check_label(config, label, Depth(large, filled))
            if finding.severity in severities
        ]

    names = _names(service, every=every)
    found = [each for some in _each(names, connection, work) for each in some]
    if as_json:
        listed = [{"label": label, **asdict(finding)} for label, finding in found]
        click.echo(json.dumps(listed, ensure_ascii=False, indent=2))
    else:
        _show(found, names)
    sys.exit(FOUND if found else 0)


def _show(found: Sequence[tuple[str, Finding]], services: Sequence[str]) -> None:
    if not found:
        listed = ", ".join(services)
        click.echo(_("{labels}: nothing found.", labels=listed))
    for label, finding in found:
        text = text_of(finding).removeprefix(finding.severity)
        mark = click.style(finding.severity, fg="red" if finding.severity == "error" else "yellow")
        click.echo(f"{mark}{text}" if finding.file else f"{mark} {label}:{text}")


@migrate.command()
@click.argument("service", required=False, shell_complete=service_names)
@click.option("--connection", default="default", show_default=True, help="The connection whose migration is meant.")
@click.option("--to", default="", metavar="VERSION", help="The last migration to keep; by default all but one.")
@FAKE
@TIMEOUT
@NO_INPUT
def down(service: str | None, connection: str, *, no_input: bool, timeout: float, **given: Any) -> None:
    """Take back the last migration of SERVICE, or all after VERSION. Rows may be lost."""
    options = Options(lock_timeout=timeout, **given)

    async def work(config: Config, labels: list[Label]) -> None:
        names = [migration.name for migration in to_be_taken_back(await read_standing(labels[0]), options)]
        if not names:
            name = config.SERVER_NAME
            click.echo(_("{service}: nothing to take back.", service=name))
            return
        if not no_input:
            _confirm(names)
        progress = Progress()
        try:
            await take_back(config, labels[0], options, progress)
        finally:
            progress.end()

    _each([guessed_service(service)], connection, work)


@migrate.command()
@_of_services
@NO_INPUT
def history(service: str | None, connection: str | None, *, every: bool, no_input: bool) -> None:
    """List the migrations of SERVICE: which are applied, and since when."""

    async def work(config: Config, labels: list[Label]) -> None:
        for label in labels:
            standing = await read_standing(label)
            click.echo(history_of(standing))
            for sentence in standing.warnings():
                Progress().warning(sentence)

    _each(_names(service, every=every), connection, work)


def _confirm(names: Sequence[str]) -> None:
    listed = ", ".join(names)
    if not sys.stdin.isatty():
        raise click.UsageError(
            _(
                "Taking back {labels} may delete rows, and there is no terminal to ask. Say --no-input to do it.",
                labels=listed,
            )
        )
    click.confirm(_("Take back {labels}? Rows may be lost.", labels=listed), abort=True)


def _names(service: str | None, *, every: bool) -> list[str]:
    if not every:
        return [guessed_service(service)]
    if service:
        raise click.UsageError(_("Name a service or say --all, not both."))
    return [each.name for each in here().services()] or [guessed_service(None)]


def _owners_first(configs: Sequence[Config]) -> list[Config]:
    """Each service behind those whose models it uses, for its tables may refer to theirs."""
    ordered: list[Config] = []
    waiting = [*configs]
    while waiting:
        names = {config.SERVER_NAME for config in waiting}
        free = (each for each in waiting if not names & ({*each.shared_labels().values()} - {each.SERVER_NAME}))
        config = next(free, waiting[0])  # two that use each other's
        waiting.remove(config)
        ordered.append(config)
    return ordered


def _each(
    services: Sequence[str], connection: str | None, work: Callable[[Config, list[Label]], Awaitable[T]]
) -> list[T]:
    """What the work returns for each service, inside of its databases; the first failure ends it."""

    async def run(config: Config) -> T:
        async with migrating(config) as opened:
            return await work(opened, labels_of(opened, connection))

    return [asyncio.run(run(config)) for config in _owners_first([*map(_config, services)])]


def _config(service: str) -> Config:
    try:
        return service_config(service)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
