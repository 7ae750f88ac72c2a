"""What is shown while migrations run."""

from __future__ import annotations

import asyncio
import time

import click

from sanicbase.migrations.journal import Direction
from sanicbase.migrations.report import Report
from sanicbase.terminal import say

__all__ = ["Progress"]

EVERY = 10.0  # seconds between two lines about a statement that goes on
WIDTH = 100
LONG = 1.0  # seconds that are worth being told


class Progress(Report):
    """A line for each thing that happens; warnings go to standard error."""

    def __init__(self) -> None:
        self._tick: asyncio.TimerHandle | None = None
        self._began = 0.0

    def waiting(self, sentence: str) -> None:
        click.echo(sentence)

    def warning(self, sentence: str) -> None:
        click.echo(click.style(sentence, fg="yellow"), err=True)

    def begins(self, migration: str, direction: Direction, step: int) -> None:
        goes_on = say(f", going on at statement {step}", f"，从第 {step} 条语句继续") if step > 1 else ""
        back = say("back: ", "回退：") if direction == "down" else ""
        click.echo(f"{back}{migration}{goes_on}")

    def statement(self, step: int, steps: int, sql: str) -> None:
        line = " ".join(sql.split())
        click.echo(f"  {step}/{steps}  {line[: WIDTH - 1] + '…' if len(line) > WIDTH else line}")
        self._began = time.monotonic()
        self._wait()

    def carried_out(self, step: int, steps: int, seconds: float) -> None:
        self._stop()
        if seconds >= LONG:
            click.echo(say(f"        done in {seconds:.1f} s", f"        完成，用时 {seconds:.1f} 秒"))

    def rows(self, table: str, done: int, total: int) -> None:
        click.echo(say(f"        {table}: {done} of {total} rows", f"        {table}：{done} / {total} 行"))

    def ends(self, migration: str, direction: Direction, seconds: float, *, fake: bool) -> None:
        self._stop()
        if fake:
            done = say("noted, and not carried out", "仅作记录，未执行")
        else:
            done = say("applied", "已应用") if direction == "up" else say("taken back", "已回退")
        click.echo(click.style(f"{migration}: {done} ({seconds:.1f} s)", fg="green"))

    def end(self) -> None:
        """Say nothing more about a statement that has failed."""
        self._stop()

    def _wait(self) -> None:
        self._stop()
        self._tick = asyncio.get_running_loop().call_later(EVERY, self._still_running)

    def _still_running(self) -> None:
        seconds = time.monotonic() - self._began
        click.echo(say(f"        running for {seconds:.0f} s", f"        已运行 {seconds:.0f} 秒"))
        self._wait()

    def _stop(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
