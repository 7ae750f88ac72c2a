"""run_scripts: the process of `python srv_xi_test.py`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

from sanicbase.config import Config
from sanicbase.db.routing import unpin_from_primary
from sanicbase.errors import SanicBaseError
from sanicbase.jobs.timer import Timer, check_timers
from sanicbase.jobs.timers import run_timers
from sanicbase.lifespan import Resource, lifespan
from sanicbase.log import setup_logging
from sanicbase.process.descriptors import check_descriptor_limit
from sanicbase.process.keyboard_interrupt import raise_keyboard_interrupt
from sanicbase.process.signals import cancel_on_signal
from sanicbase.process.systemd import Notifier

__all__ = ["Script", "run_scripts"]

logger = logging.getLogger("sanicbase.jobs")

Script = Callable[[], Coroutine[object, object, None]]
"""A plain async function, which finds databases and Redis open."""


class ScriptFailed(Exception):
    """A script raised an exception; its traceback is in the log."""


def run_scripts(config: Config, scripts: Sequence[Script | Timer], *, resources: Sequence[Resource] = ()) -> None:
    """Run the scripts concurrently inside the service's lifespan, until each has ended or a signal stops the process.
    Timers among them run until that signal.

    SIGTERM and SIGINT cancel them once, and their `finally` may finish; for timers see `run_timers`. When a script
    fails its traceback is logged, the others are cancelled and the process ends with status 1. A configuration error
    ends it with a message and status 1. Resources are closed in every case. In a systemd unit of `Type=notify` it
    reports readiness and stops, and feeds the watchdog.
    """
    raise_keyboard_interrupt()
    try:
        with check_descriptor_limit():
            setup_logging(config)
            failed = asyncio.run(_run(config, _functions(config, scripts), resources, Notifier.of(os.environ)))
    except SanicBaseError as exc:
        sys.exit(str(exc))
    if failed:
        sys.exit(1)


def _functions(config: Config, scripts: Sequence[Script | Timer]) -> list[Script]:
    """The functions to run, one of which runs all timers. Raises ConfigError for two timers of the same name."""
    timers = [script for script in scripts if isinstance(script, Timer)]
    check_timers(timers)

    async def run_all_timers() -> None:
        await run_timers(timers, config)

    functions = [script for script in scripts if not isinstance(script, Timer)]
    return [*functions, run_all_timers] if timers else functions


async def _run(config: Config, scripts: Sequence[Script], resources: Sequence[Resource], notifier: Notifier) -> bool:
    """Run all, and return whether one of them failed."""
    cancel_on_signal(on_first=lambda: notifier.stopping("Stopping the scripts."), once=True)
    failed = False
    with suppress(asyncio.CancelledError):
        async with lifespan(config, *resources):
            watchdog = asyncio.create_task(notifier.feed_watchdog())
            notifier.ready("The scripts are running.")
            try:
                async with asyncio.TaskGroup() as group:
                    for script in scripts:
                        group.create_task(_run_one(script), name=_name(script))
            except* ScriptFailed:
                failed = True
            finally:
                notifier.stopping("Closing the resources.")
                watchdog.cancel()
    return failed


async def _run_one(script: Script) -> None:
    unpin_from_primary()
    try:
        await script()
    except Exception as exc:
        logger.exception("The script %s failed: the others are cancelled.", _name(script))
        raise ScriptFailed from exc


def _name(script: Script) -> str:
    return getattr(script, "__name__", repr(script))
