"""Applies one migration, and never leaves it partly applied without a record.

Where the database supports it, a migration is one transaction. Otherwise the journal is written before and after each
statement: on MySQL, which commits each change of a table on its own, and when a file asks for no transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from aerich.models import Aerich
from aerich.utils import get_models_describe
from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.outage import reason
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.data import DataMigration
from sanicbase.migrations.execution import check_foreign_keys, execute, without_foreign_keys
from sanicbase.migrations.files import Migration
from sanicbase.migrations.journal import Direction, Journal, JournalEntry, digest
from sanicbase.migrations.recovery import fingerprint, was_executed
from sanicbase.migrations.report import Report
from sanicbase.migrations.selection import Options
from sanicbase.migrations.statements import leading_keywords, split_statements
from sanicbase.migrations.status import Label, MigrationStatus, read_status

__all__ = ["MigrationRunner"]

TRANSACTIONAL = {"INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "DO"}
"""Statements that MySQL executes inside a transaction."""
OUTSIDE_TRANSACTION = {"VACUUM", "PRAGMA", "ATTACH", "DETACH"}
"""Statements that SQLite executes outside a transaction."""
OWN_TRANSACTION = {"BEGIN", "START", "COMMIT", "END"}
MIGRATE_DATA = "migrate_data"
INCONCLUSIVE = (DatabaseUnavailable, DatabaseTimeout)
OUTSIDE_TRANSACTION_ONLY = "25001"  # PostgreSQL's error code for a statement that cannot run in a transaction

FUNCTIONS: dict[Direction, str] = {"up": "upgrade", "down": "downgrade"}

StepMode = Literal["transaction", "plain", "setting", "data"]


@dataclass(frozen=True)
class _Step:
    text: str
    mode: StepMode
    statements: tuple[str, ...] = ()


class MigrationRunner:
    """Applies the migrations of one label, under its lock."""

    def __init__(self, label: Label, sessions: dict[str, BaseDBAsyncClient], options: Options, report: Report) -> None:
        self._label = label
        self._client: Any = sessions[label.connection]
        self._default_client = sessions[""]
        self._options = options
        self._report = report
        self._journal = Journal(self._client, label.name, label.dialect)
        self._status: MigrationStatus

    async def status(self) -> MigrationStatus:
        """The status of the database, after records that an earlier run could not write are completed."""
        await self._journal.create()
        self._status = await read_status(self._label)
        if self._status.steps and self._status.is_finished:
            await self._clear_finished()
        return self._status

    async def up(self, migration: Migration) -> None:
        await self._run(migration, "up")

    async def down(self, migration: Migration) -> None:
        await self._run(migration, "down")

    async def _clear_finished(self) -> None:
        """Record the end of a migration that is already in aerich's table, which is in another database."""
        last = self._status.steps[-1]
        files = {migration.name: migration for migration in self._status.migrations}
        if last.direction == "up" and last.migration in files:
            await self._journal.finish(self._client, last.migration, "up", files[last.migration].digest)
        else:
            await self._journal.delete(self._client, last.migration)
        self._status = await read_status(self._label)

    async def _run(self, migration: Migration, direction: Direction) -> None:
        begin = time.monotonic()
        if self._options.fake:
            await self._record(migration, direction)
        elif self._is_atomic(migration, direction) and not self._entries_of(migration):
            await self._run_in_transaction(migration, direction)
        else:
            await self._run_step_by_step(migration, direction)
        self._report.migration_finished(
            self._display_name(migration), direction, time.monotonic() - begin, fake=self._options.fake
        )

    def _display_name(self, migration: Migration) -> str:
        return f"{self._label.name}/{migration.name}"

    def _is_atomic(self, migration: Migration, direction: Direction) -> bool:
        data_inside = direction == "down" or migration.migrate_data is None or migration.data_in_transaction
        is_default = self._client is self._default_client
        return self._label.dialect != "mysql" and is_default and migration.in_transaction and data_inside

    async def _run_in_transaction(self, migration: Migration, direction: Direction) -> None:
        """Apply the migration in one transaction, which is rolled back when a statement fails or the process is
        killed."""
        self._report.migration_started(self._display_name(migration), direction, 1)
        progress = _Progress()
        try:
            async with without_foreign_keys(self._client), self._client._in_transaction() as db:
                statements = await self._statements(migration, direction, db)
                data = direction == "up" and migration.migrate_data is not None
                progress.steps = len(statements) + data
                for progress.step, progress.text in enumerate(statements, 1):
                    await self._execute(progress, db, progress.text)
                if data:
                    progress.step, progress.text = progress.steps, MIGRATE_DATA
                    await self._migrate_data(progress, migration, DataMigration(db, self._label.dialect, self._report))
                progress.text = ""
                await check_foreign_keys(db)
                await self._record_in_aerich(db, migration, direction)
                await self._journal.finish(db, migration.name, direction, migration.digest)
        except Exception as exc:
            if not progress.text:
                raise
            raise self._failure(migration, progress, exc, kept=False) from exc

    async def _run_step_by_step(self, migration: Migration, direction: Direction) -> None:
        """Apply step by step, each recorded before and after it, starting with the step at which the last run
        stopped."""
        steps = self._steps(await self._statements(migration, direction, self._client), migration, direction)
        entries = self._entries_of(migration)
        self._check_unchanged(migration, steps, [entry for entry in entries.values() if entry.state == "done"])
        finished = await self._finished_steps(migration, steps, entries)
        first = min(set(range(1, len(steps) + 1)) - finished, default=1)
        self._report.migration_started(self._display_name(migration), direction, first)
        for number, step in enumerate(steps, 1):
            progress = _Progress(number, len(steps), step.text)
            if number not in finished:
                await self._run_step(progress, step, migration, direction, entries.get(number))
            elif step.mode == "setting":  # the session is lost
                await execute(self._client, step.text)
        await self._record(migration, direction)

    async def _statements(self, migration: Migration, direction: Direction, db: BaseDBAsyncClient) -> list[str]:
        script = await migration.script_function(FUNCTIONS[direction])(db)
        statements = split_statements(script, self._label.dialect)
        if direction == "down" and not statements:
            raise MigrationError(
                _(
                    "{migration} of {label} cannot be reverted: its downgrade is empty.",
                    migration=migration.name,
                    label=self._label.name,
                )
            )
        return statements

    def _steps(self, statements: list[str], migration: Migration, direction: Direction) -> list[_Step]:
        data = [_Step(MIGRATE_DATA, "data")] if direction == "up" and migration.migrate_data is not None else []
        own_transaction = OWN_TRANSACTION.intersection(leading_keywords(statement, 1) for statement in statements)
        if self._label.dialect != "mysql" and statements and (migration.in_transaction or own_transaction):
            mode: StepMode = "transaction" if migration.in_transaction else "plain"
            return [_Step(";\n".join(statements), mode, tuple(statements)), *data]
        return [*(_Step(text, self._mode_of(text), (text,)) for text in statements), *data]

    def _mode_of(self, statement: str) -> StepMode:
        word = leading_keywords(statement, 1)
        if word == "SET":
            return "setting"
        if self._label.dialect == "mysql":
            return "transaction" if word in TRANSACTIONAL else "plain"
        return "plain" if self._label.dialect == "sqlite" and word in OUTSIDE_TRANSACTION else "transaction"

    def _entries_of(self, migration: Migration) -> dict[int, JournalEntry]:
        return {entry.step: entry for entry in self._status.steps if entry.migration == migration.name}

    def _check_unchanged(self, migration: Migration, steps: list[_Step], done: Sequence[JournalEntry]) -> None:
        for entry in done:
            if entry.step > len(steps) or digest(steps[entry.step - 1].text) != entry.digest:
                raise MigrationError(
                    _(
                        "{migration} of {label} was changed in a part that was executed. Statement {step} was: "
                        "{statement}. Restore it. Only statements from the failed one on may be changed.",
                        migration=migration.name,
                        label=self._label.name,
                        step=entry.step,
                        statement=entry.statement,
                    )
                )

    async def _finished_steps(
        self, migration: Migration, steps: list[_Step], entries: dict[int, JournalEntry]
    ) -> set[int]:
        """The steps to skip, once the outcome of an interrupted one is determined."""
        done = {number for number, entry in entries.items() if entry.state == "done"}
        for number in entries.keys() - done:
            entry = entries[number]
            if self._options.skip_statement and number <= len(steps):
                await self._journal.record(migration.name, number, entry.direction, "done", steps[number - 1].text)
            elif await self._was_executed(entry):
                self._check_unchanged(migration, steps, [entry])
                await self._journal.mark_done(self._client, migration.name, number)
            else:
                continue
            done.add(number)
        return done

    async def _was_executed(self, entry: JournalEntry) -> bool:
        mysql = self._label.dialect == "mysql"
        if entry.statement == MIGRATE_DATA or (mysql and self._mode_of(entry.statement) == "transaction"):
            return False  # the transaction of the step records its end
        if mysql and entry.state == "failed":
            return False  # the server has reported the failure, so the statement was not executed
        return await was_executed(self._client, self._label.dialect, entry.statement, entry.fingerprint)

    async def _run_step(
        self, progress: _Progress, step: _Step, migration: Migration, direction: Direction, earlier: JournalEntry | None
    ) -> None:
        position = earlier.position if earlier and step.mode == "data" and earlier.statement == MIGRATE_DATA else None
        if position is None:
            now = await fingerprint(self._client, self._label.dialect, step.text) if step.mode != "data" else ""
            await self._journal.record(migration.name, progress.step, direction, "started", step.text, now)
        try:
            if step.mode == "data":
                await self._data_step(progress, migration, position or "")
            else:
                await self._statement_step(progress, step, migration)
        except Exception as exc:
            if not isinstance(exc, INCONCLUSIVE):
                with suppress(DatabaseError):  # the session is lost, so the outcome of the step stays open
                    await self._journal.mark_failed(migration.name, progress.step)
            raise self._failure(migration, progress, exc, kept=True) from exc

    async def _statement_step(self, progress: _Progress, step: _Step, migration: Migration) -> None:
        if step.mode == "transaction":
            try:
                async with without_foreign_keys(self._client), self._client._in_transaction() as db:
                    await self._execute(progress, db, *step.statements)
                    await check_foreign_keys(db)
                    await self._journal.mark_done(db, migration.name, progress.step)
            except DatabaseError as exc:
                if getattr(exc.__cause__, "sqlstate", None) != OUTSIDE_TRANSACTION_ONLY:
                    raise
            else:
                return
        await self._execute(progress, self._client, *step.statements)
        await self._journal.mark_done(self._client, migration.name, progress.step)

    async def _data_step(self, progress: _Progress, migration: Migration, position: str) -> None:
        dialect, report = self._label.dialect, self._report
        if migration.data_in_transaction:
            async with self._client._in_transaction() as db:
                await self._migrate_data(progress, migration, DataMigration(db, dialect, report))
                await self._journal.mark_done(db, migration.name, progress.step)
            return

        async def save_position(db: BaseDBAsyncClient, position: str) -> None:
            await self._journal.save_position(db, migration.name, progress.step, position)

        data = DataMigration(self._client, dialect, report, save_position=save_position, position=position)
        await self._migrate_data(progress, migration, data)
        await self._journal.mark_done(self._client, migration.name, progress.step)

    async def _execute(self, progress: _Progress, db: BaseDBAsyncClient, *statements: str) -> None:
        begin = time.monotonic()
        self._report.statement_started(progress.step, progress.steps, ";\n".join(statements))
        for statement in statements:
            await execute(db, statement)
        self._report.statement_finished(progress.step, progress.steps, time.monotonic() - begin)

    async def _migrate_data(self, progress: _Progress, migration: Migration, data: DataMigration) -> None:
        assert migration.migrate_data is not None  # noqa: S101  (else there is no such step)
        begin = time.monotonic()
        self._report.statement_started(progress.step, progress.steps, MIGRATE_DATA)
        await migration.migrate_data(data)
        self._report.statement_finished(progress.step, progress.steps, time.monotonic() - begin)

    async def _record(self, migration: Migration, direction: Direction) -> None:
        """Record the migration as applied: in one transaction if both tables are in one database, else aerich's
        first."""
        if self._client is self._default_client:
            async with self._client._in_transaction() as db:
                await self._record_in_aerich(db, migration, direction)
                await self._journal.finish(db, migration.name, direction, migration.digest)
        else:
            await self._record_in_aerich(self._default_client, migration, direction)
            await self._journal.finish(self._client, migration.name, direction, migration.digest)

    async def _record_in_aerich(self, db: BaseDBAsyncClient, migration: Migration, direction: Direction) -> None:
        name, label = migration.name, self._label.name
        if direction == "down":
            await Aerich.filter(app=label, version=name).using_db(db).delete()
            return
        state = migration.models_state or get_models_describe(label)
        await Aerich.create(version=name, app=label, content=state, using_db=db)

    def _failure(self, migration: Migration, progress: _Progress, error: Exception, *, kept: bool) -> MigrationError:
        return MigrationError(_failure_message(migration.name, progress, reason(error), self._label, kept=kept))


@dataclass
class _Progress:
    """The current position in a migration."""

    step: int = 0
    steps: int = 0
    text: str = ""


def _failure_message(name: str, progress: _Progress, cause: str, label: Label, *, kept: bool) -> str:
    failed = _(
        "{migration} of {label} failed at statement {step} of {steps}: {cause}\n    {statement}",
        migration=name,
        label=label.name,
        step=progress.step,
        steps=progress.steps,
        cause=cause,
        statement=progress.text,
    )
    command = f"sanicGuider migrate up {label.service}"
    if not kept:
        return failed + _(
            "\nThe transaction was rolled back: nothing of it was applied. Correct the cause, then run: {command}",
            command=command,
        )
    last = progress.step - 1
    before_it = (
        _("Statements 1 to {last} were executed and are kept.", last=last)
        if progress.step > 1
        else _("Nothing was executed.")
    )
    return failed + _(
        "\n{before} Correct the cause, or the file from this statement on, then run: {command}. It continues at "
        "statement {step}.",
        before=before_it,
        command=command,
        step=progress.step,
    )
