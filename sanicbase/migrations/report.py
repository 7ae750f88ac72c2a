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

    def begins(self, migration: str, direction: Direction, step: int) -> None:
        """A migration, `label/file.py`, begins or goes on at this statement."""

    def statement(self, step: int, steps: int, sql: str) -> None:
        """A statement begins, or the migration of rows, which has no SQL to show."""

    def carried_out(self, step: int, steps: int, seconds: float) -> None:
        """A statement has ended."""

    def rows(self, table: str, done: int, total: int) -> None:
        """So many rows of a table are migrated."""

    def ends(self, migration: str, direction: Direction, seconds: float, *, fake: bool) -> None:
        """A migration has ended, or was only noted."""
