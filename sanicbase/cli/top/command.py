"""The command, and which kind of output it has."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from sanicbase.cli.project import current_project, service_argument
from sanicbase.cli.top.plain import as_text
from sanicbase.config.settings import PRIVATE_DIR
from sanicbase.top.client import NotRunning, Reading, read_service
from sanicbase.top.figures import Figures, figures

__all__ = ["top"]

START = 3.0  # seconds in which all processes of a service begin to count
POLL = 0.1


@click.command()
@service_argument
@click.option("--once", is_flag=True, help="Show one interval and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: with --once one object, otherwise one a line.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 60),
    default=2.0,
    show_default=True,
    help="The seconds of an interval.",
)
def top(service: str, *, once: bool, as_json: bool, interval: float) -> None:
    """Watch SERVICE while it runs: its workers, database pools, cache models, timers, and what is slow.

    It must be started in this folder, by this account, unless you are root. Press q to end.
    """
    private = current_project().folder / PRIVATE_DIR
    first = _first_reading(private, service)
    try:
        if once:
            time.sleep(interval)
            _print(figures(service, first, read_service(private, service)), as_json=as_json, indent=2)
            return
        if as_json or _is_dumb():
            _stream(_views(private, service, first), interval, as_json=as_json)
        else:
            from sanicbase.cli.top.screen import show

            show(_views(private, service, None), interval)  # the first one at once, without figures of an interval
    except KeyboardInterrupt:
        return


def _first_reading(private: Path, service: str) -> Reading:
    """A reading in which all processes count, or what there is after some seconds. Raises NotRunning."""
    deadline = time.monotonic() + START
    while True:
        reading = read_service(private, service)
        if all(snapshot.is_complete for snapshot in reading.snapshots) or time.monotonic() > deadline:
            return reading
        time.sleep(POLL)


def _views(private: Path, service: str, before: Reading | None) -> Iterator[Figures | str]:
    """The figures since the last view, or why there are none, whenever one is asked for."""
    while True:
        try:
            now = read_service(private, service)
        except NotRunning as exc:
            before = None
            yield str(exc)
        else:
            yield figures(service, before, now)
            before = now


def _stream(views: Iterator[Figures | str], interval: float, *, as_json: bool) -> None:
    """Print each view; a sentence in place of one is printed once, as an error."""
    told = ""
    while True:
        time.sleep(interval)
        view = next(views)
        if isinstance(view, Figures):
            told = ""
            _print(view, as_json=as_json)
        elif view != told:
            told = view
            click.echo(view, err=True)


def _print(view: Figures, *, as_json: bool, indent: int | None = None) -> None:
    if as_json:
        click.echo(json.dumps(asdict(view), default=datetime.isoformat, indent=indent))
    else:
        columns = os.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(as_text(view, columns) + ("" if indent else "\n"))


def _is_dumb() -> bool:
    return not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb", "unknown")
