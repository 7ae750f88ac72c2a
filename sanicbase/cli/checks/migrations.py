"""Reports problems of pending and unwritten migrations, before the command that creates or applies them."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Container, Sequence

from sanicbase.cli.checks.findings import Finding, findings_of_error
from sanicbase.config import Config
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.checks.check import CheckOptions, check_label
from sanicbase.migrations.checks.findings import Finding as MigrationFinding
from sanicbase.migrations.model_changes import ModelChanges, UnreadableRecord, model_changes
from sanicbase.migrations.pending import aerich_command
from sanicbase.migrations.status import labels_of
from sanicbase.migrations.versions import dialect_mismatch, expected_migrations

__all__ = ["check_migrations"]

REPORTED_ELSEWHERE = ("models.", "dialect.")
"""Findings that `model_changes` and `database_problems` report."""
SHOWN = 200  # characters of the statements that are shown


async def check_migrations(
    config: Config, labels: Container[str], pending: Sequence[Finding]
) -> AsyncIterator[Finding]:
    """The problems of pending and unwritten migrations, and then the command to run. The databases must be open for
    migrations. `pending` contains the findings about migrations that are not applied."""
    errors = await _errors(config, labels)
    for migration_findings in errors.values():
        for error in migration_findings:
            yield _finding(error)
    for finding in pending:
        yield finding
    try:
        changes = await model_changes(config)
    except UnreadableRecord as exc:
        yield _unreadable_record(exc, await aerich_command(config, exc.label))
        return
    for label, label_changes in changes.items():
        if label_changes.question:
            for finding in findings_of_error("migrations.unwritten", MigrationError(label_changes.question)):
                yield finding
        else:
            first = any(not error.file for error in errors.get(label, ()))
            yield _model_changes(label, label_changes, await aerich_command(config, label), first=first)


async def _errors(config: Config, labels: Container[str]) -> dict[str, list[MigrationFinding]]:
    """The errors that `migrate check` finds, by label, without those about changed models."""
    findings: dict[str, list[MigrationFinding]] = {}
    for label in labels_of(config):
        name = label.name
        if name in labels and expected_migrations(config, name) and not dialect_mismatch(config, name):
            findings[name] = [
                finding
                for finding in await check_label(config, label, CheckOptions())
                if finding.severity == "error" and not finding.code.startswith(REPORTED_ELSEWHERE)
            ]
    return findings


def _finding(finding: MigrationFinding) -> Finding:
    location = f"{finding.location}: " if finding.location else ""
    return Finding(finding.code, "error", f"{location}{finding.sentence}", finding.remedy)


def _model_changes(label: str, changes: ModelChanges, aerich: str, *, first: bool) -> Finding:
    """`first` says that findings about the change precede this one."""
    upgrade = f"{aerich.rpartition(' && ')[2]} upgrade"
    statements = textwrap.shorten("; ".join(changes.statements), SHOWN, placeholder=" …")
    run = f"{aerich} migrate && {upgrade}"
    return Finding(
        "migrations.unwritten",
        "error",
        _(
            "The models of {label} have changed since the last migration: {statements}",
            label=label,
            statements=statements,
        ),
        _("Resolve the findings above, then run: {command}", command=run)
        if first
        else _("Run: {command}", command=run),
    )


def _unreadable_record(error: UnreadableRecord, aerich: str) -> Finding:
    row, label, reason = error.row, error.label, error.reason
    return Finding(
        "migrations.unreadable",
        "error",
        _(
            "In the table aerich of the default database, row {row} of {label} was not read: {reason}.",
            row=row,
            label=label,
            reason=reason,
        ),
        _("Find out who may write to the table, then delete the row and run: {aerich} upgrade --fake", aerich=aerich),
    )
