"""The progress output of migrations."""

from __future__ import annotations

import asyncio
import time

import click

from sanicbase.i18n import gettext as _
from sanicbase.migrations.journal import Direction
from sanicbase.migrations.report import Report

__all__ = ["Progress"]

EVERY = 10.0  # seconds between two lines about a running statement
WIDTH = 100
LONG = 1.0  # seconds from which a duration is shown


class Progress(Report):
    """A line for each event; warnings go to standard error."""

    def __init__(self) -> None:
        self._tick: asyncio.TimerHandle | None = None
        self._began = 0.0

    def waiting(self, sentence: str) -> None:
        click.echo(sentence)

    def warning(self, sentence: str) -> None:
        click.echo(click.style(sentence, fg="yellow"), err=True)

    def migration_started(self, migration: str, direction: Direction, step: int) -> None:
        goes_on = _(", resuming at statement {step}", step=step) if step > 1 else ""
        back = _("revert: ") if direction == "down" else ""
        click.echo(f"{back}{migration}{goes_on}")

    def statement_started(self, step: int, steps: int, sql: str) -> None:
        line = " ".join(sql.split())
        click.echo(f"  {step}/{steps}  {line[: WIDTH - 1] + '…' if len(line) > WIDTH else line}")
        self._began = time.monotonic()
        self._wait()

    def statement_finished(self, step: int, steps: int, seconds: float) -> None:
        self._stop()
        if seconds >= LONG:
            click.echo(_("        done in {seconds:.1f} s", seconds=seconds))

    def rows_migrated(self, table: str, done: int, total: int) -> None:
        click.echo(_("        {table}: {done} of {total} rows", table=table, done=done, total=total))

    def migration_finished(self, migration: str, direction: Direction, seconds: float, *, fake: bool) -> None:
        self._stop()
        done = _("applied") if direction == "up" else _("reverted")
        if fake:
            done = _("recorded without executing it")
        line = _("{migration}: {done} ({seconds:.1f} s)", migration=migration, done=done, seconds=seconds)
        click.echo(click.style(line, fg="green"))

    def end(self) -> None:
        """End the output about a statement that failed."""
        self._stop()

    def _wait(self) -> None:
        self._stop()
        self._tick = asyncio.get_running_loop().call_later(EVERY, self._still_running)

    def _still_running(self) -> None:
        seconds = time.monotonic() - self._began
        click.echo(_("        running for {seconds:.0f} s", seconds=seconds))
        self._wait()

    def _stop(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
