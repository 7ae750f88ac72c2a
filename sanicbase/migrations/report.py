"""Reports the progress of migrations to the caller."""

from __future__ import annotations

from sanicbase.migrations.journal import Direction

__all__ = ["Report"]


class Report:
    """A report that does nothing. Override the methods whose events you show."""

    def waiting(self, sentence: str) -> None:
        """Override to show that another process holds the lock."""

    def warning(self, sentence: str) -> None:
        """Override to show a problem that does not prevent migrations."""

    def migration_started(self, migration: str, direction: Direction, step: int) -> None:
        """Override to show that a migration, `label/file.py`, starts or continues at this statement."""

    def statement_started(self, step: int, steps: int, sql: str) -> None:
        """Override to show that a statement or a data migration, which has no SQL, has started."""

    def statement_finished(self, step: int, steps: int, seconds: float) -> None:
        """Override to show that a statement has finished."""

    def rows_migrated(self, table: str, done: int, total: int) -> None:
        """Override to show how many rows of a table are migrated."""

    def migration_finished(self, migration: str, direction: Direction, seconds: float, *, fake: bool) -> None:
        """Override to show that a migration was applied, or only recorded."""
