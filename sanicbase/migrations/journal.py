"""The journal of a migration: its executed statements, in the database that it changes.

aerich's table lists the applied migrations. MySQL commits each change of a table on its own, so a migration may stop
between statements, and starting it again would fail. The journal says where to continue. It also has the time at which
a migration was applied, and a digest of its file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.translation import is_missing_table
from sanicbase.db.errors import DatabaseError
from sanicbase.migrations.statements import Dialect

__all__ = ["TABLE", "Direction", "Journal", "JournalEntry", "State", "digest"]

TABLE = "sanicbase_journal"

Direction = Literal["up", "down"]
State = Literal["started", "failed", "done"]

WHOLE_MIGRATION = 0  # the step number of a whole migration that was applied

TIMESTAMP: dict[Dialect, str] = {
    "postgres": "TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP",
    "mysql": "DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
    "sqlite": "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP",
}
TEXT: dict[Dialect, str] = {"postgres": "TEXT", "mysql": "LONGTEXT", "sqlite": "TEXT"}  # the limit of MySQL is 64 KB
CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    label VARCHAR(100) NOT NULL,
    migration VARCHAR(255) NOT NULL,
    step INT NOT NULL,
    direction VARCHAR(4) NOT NULL,
    state VARCHAR(8) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    statement {{text}} NOT NULL,
    before_it VARCHAR(64) NOT NULL,
    position {{text}} NOT NULL,
    noted_at {{moment}},
    PRIMARY KEY (label, migration, step)
)"""


@dataclass(frozen=True)
class JournalEntry:
    """The journal's record of one step of a migration, counted from 1."""

    migration: str
    step: int
    direction: Direction
    state: State
    digest: str
    statement: str
    fingerprint: str
    """The state of the statement's tables before it, see recovery.py."""
    position: str
    """The position of a data migration, as JSON."""
    recorded_at: object


class Journal:
    """The journal of one label, in the label's database."""

    def __init__(self, client: BaseDBAsyncClient, label: str, dialect: Dialect) -> None:
        self._client = client
        self._label = label
        self._dialect = dialect

    async def create(self) -> None:
        """Create the table if it is missing."""
        await self._client.execute_query(CREATE.format(moment=TIMESTAMP[self._dialect], text=TEXT[self._dialect]))

    async def read(self) -> tuple[list[JournalEntry], dict[str, JournalEntry]]:
        """The steps of the partly applied migration, and the applied migrations by name."""
        sql = f"SELECT * FROM {TABLE} WHERE label = ? ORDER BY migration, step"  # noqa: S608
        try:
            rows = await self._client.execute_query_dict(self._with_placeholders(sql), [self._label])
        except DatabaseError as exc:
            if is_missing_table(exc):
                return [], {}
            raise
        notes = [_entry(row) for row in rows]
        return [note for note in notes if note.step != WHOLE_MIGRATION], {
            note.migration: note for note in notes if note.step == WHOLE_MIGRATION
        }

    async def record(
        self, migration: str, step: int, direction: Direction, state: State, statement: str, fingerprint: str = ""
    ) -> None:
        """Record the state of a step, outside any transaction."""
        await self._delete_step(self._client, migration, step)
        await self._insert(self._client, migration, step, direction, state, digest(statement), statement, fingerprint)

    async def mark_failed(self, migration: str, step: int) -> None:
        """Record that a step failed; a data migration keeps its position."""
        sql = f"UPDATE {TABLE} SET state = 'failed' WHERE label = ? AND migration = ? AND step = ?"  # noqa: S608
        await self._client.execute_query(self._with_placeholders(sql), [self._label, migration, step])

    async def mark_done(self, client: BaseDBAsyncClient, migration: str, step: int) -> None:
        """Record that a step is done, on the connection or transaction that executed it."""
        sql = f"UPDATE {TABLE} SET state = 'done', position = '' WHERE label = ? AND migration = ? AND step = ?"  # noqa: S608
        await client.execute_query(self._with_placeholders(sql), [self._label, migration, step])

    async def save_position(self, client: BaseDBAsyncClient, migration: str, step: int, position: str) -> None:
        """Record the position of a data migration, in the transaction of its rows."""
        sql = f"UPDATE {TABLE} SET position = ? WHERE label = ? AND migration = ? AND step = ?"  # noqa: S608
        await client.execute_query(self._with_placeholders(sql), [position, self._label, migration, step])

    async def finish(self, client: BaseDBAsyncClient, migration: str, direction: Direction, contents: str) -> None:
        """Replace the steps of a migration by one record of the whole, or by none when it was reverted."""
        await self.delete(client, migration)
        if direction == "up":
            await self._insert(client, migration, WHOLE_MIGRATION, direction, "done", contents, "", "")

    async def delete(self, client: BaseDBAsyncClient, migration: str) -> None:
        """Delete all records of a migration."""
        sql = f"DELETE FROM {TABLE} WHERE label = ? AND migration = ?"  # noqa: S608
        await client.execute_query(self._with_placeholders(sql), [self._label, migration])

    async def _delete_step(self, client: BaseDBAsyncClient, migration: str, step: int) -> None:
        sql = f"DELETE FROM {TABLE} WHERE label = ? AND migration = ? AND step = ?"  # noqa: S608
        await client.execute_query(self._with_placeholders(sql), [self._label, migration, step])

    async def _insert(self, client: BaseDBAsyncClient, migration: str, step: int, *values: str) -> None:
        columns = "label, migration, step, direction, state, digest, statement, before_it, position"
        sql = f"INSERT INTO {TABLE} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')"  # noqa: S608
        row: Sequence[Any] = [self._label, migration, step, *values]
        await client.execute_query(self._with_placeholders(sql), list(row))

    def _with_placeholders(self, sql: str) -> str:
        """The statement with this database's placeholders."""
        if self._dialect == "postgres":
            numbers = count(1)
            return re.sub(r"\?", lambda match: f"${next(numbers)}", sql)
        return sql.replace("?", "%s") if self._dialect == "mysql" else sql


def digest(text: str) -> str:
    """A short digest of the text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(row: dict[str, Any]) -> JournalEntry:
    return JournalEntry(
        migration=row["migration"],
        step=row["step"],
        direction=row["direction"],
        state=row["state"],
        digest=row["digest"],
        statement=row["statement"],
        fingerprint=row["before_it"],
        position=row["position"],
        recorded_at=row["noted_at"],
    )
