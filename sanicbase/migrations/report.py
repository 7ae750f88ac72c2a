"""What whoever waits for migrations is told while they run."""

from __future__ import annotations

from sanicbase.migrations.journal import Direction

__all__ = ["Report"]


class Report:
    """Says nothing; override what is to be shown."""

    def waiting(self, sentence: str) -> None:
        """Another process has the lock."""

    def warning(self, sentence: str) -> None:
        """Something is not as it should be, and keeps nothing from being applied."""

    def migration_started(self, migration: str, direction: Direction, step: int) -> None:
        """A migration, `label/file.py`, begins or goes on at this statement."""

    def statement_started(self, step: int, steps: int, sql: str) -> None:
        """A statement begins, or the migration of rows, which has no SQL to show."""

    def statement_finished(self, step: int, steps: int, seconds: float) -> None:
        """A statement has ended."""

    def rows_migrated(self, table: str, done: int, total: int) -> None:
        """So many rows of a table are migrated."""

    def migration_finished(self, migration: str, direction: Direction, seconds: float, *, fake: bool) -> None:
        """A migration has ended, or was only noted."""
