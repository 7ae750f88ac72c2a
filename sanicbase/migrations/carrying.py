"""Carrying out one migration, and never half of one in silence.

Where the database can, a migration is one transaction. Elsewhere the journal is written before and after each
statement: on MySQL, whose changes of tables commit by themselves, and where a file asks for no transaction.
"""

from __future__ import annotations

import re
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
from sanicbase.migrations.choosing import Options
from sanicbase.migrations.data import DataMigration
from sanicbase.migrations.doubts import before, is_done
from sanicbase.migrations.executing import check_foreign_keys, execute, without_foreign_keys
from sanicbase.migrations.files import Migration
from sanicbase.migrations.journal import Direction, Journal, Note, digest
from sanicbase.migrations.report import Report
from sanicbase.migrations.standing import Label, Standing, read_standing
from sanicbase.migrations.statements import first_words, split_statements

__all__ = ["Run", "execute"]

ROWS = {"INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "DO"}
"""What MySQL does inside of a transaction."""
ALONE = {"VACUUM", "PRAGMA", "ATTACH", "DETACH"}
"""What SQLite does outside of one."""
OWN_TRANSACTION = {"BEGIN", "START", "COMMIT", "END"}
DATA = "migrate_data"
UNDECIDED = (DatabaseUnavailable, DatabaseTimeout)
DROPS = re.compile(r"\bDROP\s+TABLE\b", re.IGNORECASE)
IN_NO_TRANSACTION = "25001"  # PostgreSQL's code for a statement that runs outside of transactions only

FUNCTIONS: dict[Direction, str] = {"up": "upgrade", "down": "downgrade"}

Way = Literal["transaction", "plain", "setting", "data"]


@dataclass(frozen=True)
class _Step:
    text: str
    way: Way
    statements: tuple[str, ...] = ()


class Run:
    """The migrations of one label, under its lock."""

    def __init__(self, label: Label, sessions: dict[str, BaseDBAsyncClient], options: Options, report: Report) -> None:
        self._label = label
        self._client: Any = sessions[label.connection]
        self._notes = sessions[""]
        self._options = options
        self._report = report
        self._journal = Journal(self._client, label.name, label.dialect)
        self._standing: Standing

    async def standing(self) -> Standing:
        """How the database stands, after what an earlier run had no time for is noted."""
        await self._journal.create()
        self._standing = await read_standing(self._label)
        if self._standing.steps and self._standing.is_settled:
            await self._settle()
        return self._standing

    async def up(self, migration: Migration) -> None:
        await self._carry_out(migration, "up")

    async def down(self, migration: Migration) -> None:
        await self._carry_out(migration, "down")

    async def _settle(self) -> None:
        """Note the end of a migration that is in aerich's table, which is in another database, already."""
        last = self._standing.steps[-1]
        files = {migration.name: migration for migration in self._standing.migrations}
        if last.direction == "up" and last.migration in files:
            await self._journal.finish(self._client, last.migration, "up", files[last.migration].digest)
        else:
            await self._journal.forget(self._client, last.migration)
        self._standing = await read_standing(self._label)

    async def _carry_out(self, migration: Migration, direction: Direction) -> None:
        begin = time.monotonic()
        if self._options.fake:
            await self._end(migration, direction)
        elif self._is_atomic(migration, direction) and not self._steps_of(migration):
            await self._at_once(migration, direction)
        else:
            await self._by_steps(migration, direction)
        self._report.ends(self._shown(migration), direction, time.monotonic() - begin, fake=self._options.fake)

    def _shown(self, migration: Migration) -> str:
        return f"{self._label.name}/{migration.name}"

    def _is_atomic(self, migration: Migration, direction: Direction) -> bool:
        data_inside = direction == "down" or migration.data is None or migration.data_in_transaction
        here = self._client is self._notes
        return self._label.dialect != "mysql" and here and migration.in_transaction and data_inside

    async def _at_once(self, migration: Migration, direction: Direction) -> None:
        """All of it in one transaction, which takes itself back when something fails or the process is killed."""
        self._report.begins(self._shown(migration), direction, 1)
        at = _Place()
        try:
            async with without_foreign_keys(self._client), self._client._in_transaction() as db:
                statements = await self._statements(migration, direction, db)
                data = direction == "up" and migration.data is not None
                at.steps = len(statements) + data
                for at.step, at.text in enumerate(statements, 1):
                    await self._timed(at, db, at.text)
                if data:
                    at.step, at.text = at.steps, DATA
                    await self._migrate_data(at, migration, DataMigration(db, self._label.dialect, self._report))
                at.text = ""
                await check_foreign_keys(db)
                await self._note(db, migration, direction)
                await self._journal.finish(db, migration.name, direction, migration.digest)
        except Exception as exc:
            if not at.text:
                raise
            raise self._failed(migration, at, exc, stays=False) from exc

    async def _by_steps(self, migration: Migration, direction: Direction) -> None:
        """Step by step, each with a note before and after it, from the one at which the last run has stopped."""
        steps = self._steps(await self._statements(migration, direction, self._client), migration, direction)
        notes = self._steps_of(migration)
        self._refuse_changed(migration, steps, [note for note in notes.values() if note.state == "done"])
        done = await self._done(migration, steps, notes)
        first = min(set(range(1, len(steps) + 1)) - done, default=1)
        self._report.begins(self._shown(migration), direction, first)
        for number, step in enumerate(steps, 1):
            at = _Place(number, len(steps), step.text)
            if number not in done:
                await self._noted(at, step, migration, direction, notes.get(number))
            elif step.way == "setting":  # of a session that is no more
                await execute(self._client, step.text)
        await self._end(migration, direction)

    async def _statements(self, migration: Migration, direction: Direction, db: BaseDBAsyncClient) -> list[str]:
        script = await migration.step(FUNCTIONS[direction])(db)
        statements = split_statements(script, self._label.dialect)
        if direction == "down" and not statements:
            raise MigrationError(
                _(
                    "{migration} of {label} has no way back: its downgrade is empty.",
                    migration=migration.name,
                    label=self._label.name,
                )
            )
        return statements

    def _steps(self, statements: list[str], migration: Migration, direction: Direction) -> list[_Step]:
        data = [_Step(DATA, "data")] if direction == "up" and migration.data is not None else []
        own = OWN_TRANSACTION.intersection(first_words(statement, 1) for statement in statements)
        if self._label.dialect != "mysql" and statements and (migration.in_transaction or own):
            way: Way = "transaction" if migration.in_transaction else "plain"
            return [_Step(";\n".join(statements), way, tuple(statements)), *data]
        return [*(_Step(text, self._way(text), (text,)) for text in statements), *data]

    def _way(self, statement: str) -> Way:
        word = first_words(statement, 1)
        if word == "SET":
            return "setting"
        if self._label.dialect == "mysql":
            return "transaction" if word in ROWS else "plain"
        return "plain" if self._label.dialect == "sqlite" and word in ALONE else "transaction"

    def _steps_of(self, migration: Migration) -> dict[int, Note]:
        return {note.step: note for note in self._standing.steps if note.migration == migration.name}

    def _refuse_changed(self, migration: Migration, steps: list[_Step], done: Sequence[Note]) -> None:
        for note in done:
            if note.step > len(steps) or digest(steps[note.step - 1].text) != note.digest:
                raise MigrationError(
                    _(
                        "{migration} of {label} was changed where it is carried out already. Statement {step} was: "
                        "{statement}. Restore it; what comes after the statement that failed may be changed.",
                        migration=migration.name,
                        label=self._label.name,
                        step=note.step,
                        statement=note.statement,
                    )
                )

    async def _done(self, migration: Migration, steps: list[_Step], notes: dict[int, Note]) -> set[int]:
        """The steps that need not be carried out, after doubts about one are settled."""
        done = {number for number, note in notes.items() if note.state == "done"}
        for number in notes.keys() - done:
            note = notes[number]
            if self._options.skip_statement and number <= len(steps):
                await self._journal.note(migration.name, number, note.direction, "done", steps[number - 1].text)
            elif await self._was_done(note):
                self._refuse_changed(migration, steps, [note])
                await self._journal.done(self._client, migration.name, number)
            else:
                continue
            done.add(number)
        return done

    async def _was_done(self, note: Note) -> bool:
        mysql = self._label.dialect == "mysql"
        if note.statement == DATA or (mysql and self._way(note.statement) == "transaction"):
            return False  # its end is noted in its own transaction
        if mysql and note.state == "failed":
            return False  # a statement is done or not, and the server has said that it is not
        return await is_done(self._client, self._label.dialect, note.statement, note.before)

    async def _noted(
        self, at: _Place, step: _Step, migration: Migration, direction: Direction, earlier: Note | None
    ) -> None:
        position = earlier.position if earlier and step.way == "data" and earlier.statement == DATA else None
        if position is None:
            now = await before(self._client, self._label.dialect, step.text) if step.way != "data" else ""
            await self._journal.note(migration.name, at.step, direction, "started", step.text, now)
        try:
            if step.way == "data":
                await self._data_step(at, migration, position or "")
            else:
                await self._statement_step(at, step, migration)
        except Exception as exc:
            if not isinstance(exc, UNDECIDED):
                with suppress(DatabaseError):  # of a session that is lost: the step stays in doubt
                    await self._journal.fail(migration.name, at.step)
            raise self._failed(migration, at, exc, stays=True) from exc

    async def _statement_step(self, at: _Place, step: _Step, migration: Migration) -> None:
        if step.way == "transaction":
            try:
                async with without_foreign_keys(self._client), self._client._in_transaction() as db:
                    await self._timed(at, db, *step.statements)
                    await check_foreign_keys(db)
                    await self._journal.done(db, migration.name, at.step)
            except DatabaseError as exc:
                if getattr(exc.__cause__, "sqlstate", None) != IN_NO_TRANSACTION:
                    raise
            else:
                return
        await self._timed(at, self._client, *step.statements)
        await self._journal.done(self._client, migration.name, at.step)

    async def _data_step(self, at: _Place, migration: Migration, position: str) -> None:
        dialect, report = self._label.dialect, self._report
        if migration.data_in_transaction:
            async with self._client._in_transaction() as db:
                await self._migrate_data(at, migration, DataMigration(db, dialect, report))
                await self._journal.done(db, migration.name, at.step)
            return

        async def place(db: BaseDBAsyncClient, position: str) -> None:
            await self._journal.place(db, migration.name, at.step, position)

        data = DataMigration(self._client, dialect, report, place=place, position=position)
        await self._migrate_data(at, migration, data)
        await self._journal.done(self._client, migration.name, at.step)

    async def _timed(self, at: _Place, db: BaseDBAsyncClient, *statements: str) -> None:
        begin = time.monotonic()
        self._report.statement(at.step, at.steps, ";\n".join(statements))
        for statement in statements:
            await execute(db, statement)
        self._report.carried_out(at.step, at.steps, time.monotonic() - begin)

    async def _migrate_data(self, at: _Place, migration: Migration, data: DataMigration) -> None:
        assert migration.data is not None  # noqa: S101  (else there is no such step)
        begin = time.monotonic()
        self._report.statement(at.step, at.steps, DATA)
        await migration.data(data)
        self._report.carried_out(at.step, at.steps, time.monotonic() - begin)

    async def _end(self, migration: Migration, direction: Direction) -> None:
        """Note the whole migration: in one transaction where the notes are in one database, else aerich's first."""
        if self._client is self._notes:
            async with self._client._in_transaction() as db:
                await self._note(db, migration, direction)
                await self._journal.finish(db, migration.name, direction, migration.digest)
        else:
            await self._note(self._notes, migration, direction)
            await self._journal.finish(self._client, migration.name, direction, migration.digest)

    async def _note(self, db: BaseDBAsyncClient, migration: Migration, direction: Direction) -> None:
        name, label = migration.name, self._label.name
        if direction == "down":
            await Aerich.filter(app=label, version=name).using_db(db).delete()
            return
        state = migration.models_state or get_models_describe(label)
        await Aerich.create(version=name, app=label, content=state, using_db=db)

    def _failed(self, migration: Migration, at: _Place, error: Exception, *, stays: bool) -> MigrationError:
        return MigrationError(_sentence(migration.name, at, reason(error), self._label, stays=stays))


@dataclass
class _Place:
    """Where a migration is at the moment."""

    step: int = 0
    steps: int = 0
    text: str = ""


def _sentence(name: str, at: _Place, cause: str, label: Label, *, stays: bool) -> str:
    failed = _(
        "{migration} of {label} failed at statement {step} of {steps}: {cause}\n    {statement}",
        migration=name,
        label=label.name,
        step=at.step,
        steps=at.steps,
        cause=cause,
        statement=at.text,
    )
    command = f"sanicGuider migrate up {label.service}"
    if not stays:
        return failed + _(
            "\nThe transaction was rolled back: nothing of it was applied. Correct the cause, then run: {command}",
            command=command,
        )
    last = at.step - 1
    before_it = (
        _("Statements 1 to {last} were carried out and stay.", last=last)
        if at.step > 1
        else _("Nothing of it was carried out.")
    )
    return failed + _(
        "\n{before} Correct the cause, or the file from this statement on, then run: {command}. It goes on at "
        "statement {step}.",
        before=before_it,
        command=command,
        step=at.step,
    )
