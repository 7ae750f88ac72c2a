"""`sanicGuider timers`: when the timers of a service run next."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

import click

from sanicbase.cli.project import resolve_service
from sanicbase.cli.table import table
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.jobs.timer import Timer

__all__ = ["timers"]


@click.command()
@click.argument(
    "service", metavar="[SERVICE]", required=False, callback=lambda context, parameter, name: resolve_service(name)
)
@click.option(
    "--runs",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="The number of runs to show of each timer.",
)
def timers(service: str, runs: int) -> None:
    """Show the timers of SERVICE with their schedules and next runs, in UTC. It connects to nothing."""
    try:
        time_zone = service_config(service).TIME_ZONE
    except UsageError as exc:
        raise click.ClickException(str(exc)) from exc
    rows = [(_("timer"), _("schedule"), _("next runs"))]
    for timer in _timers(service):
        moment, following = datetime.now(UTC), []
        for _number in range(runs):
            moment = timer.schedule(time_zone).after(moment)
            following.append(moment.isoformat(timespec="seconds"))
        rows.append((timer.name, _schedule(timer, time_zone), "  ".join(following)))
    click.echo(table(rows))


def _timers(service: str) -> list[Timer]:
    """The timers that the service lists in `script/__init__.py`."""
    try:
        scripts = importlib.import_module(f"{service}.script").scripts
    except (ModuleNotFoundError, AttributeError):
        scripts = ()
    return [script for script in scripts if isinstance(script, Timer)]


def _schedule(timer: Timer, time_zone: str) -> str:
    if timer.cron is not None:
        return f"{timer.cron} ({timer.tz or time_zone})"
    seconds = timer.every.total_seconds() if isinstance(timer.every, timedelta) else timer.every
    number = f"{seconds:g}"
    return _("every {seconds} s", seconds=number)
