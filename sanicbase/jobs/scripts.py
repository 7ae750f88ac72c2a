"""run_scripts: the process that `python srv_xi_test.py` starts."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sanicbase.alerts import AlertHook
from sanicbase.alerts.dispatcher import open_alerts
from sanicbase.alerts.webhooks import configured_hook
from sanicbase.config import Config
from sanicbase.db.routing import start_scope
from sanicbase.errors import ConfigError, SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.completion import check_completions
from sanicbase.jobs.declaration import Job, check_jobs
from sanicbase.jobs.outbox import run_relays
from sanicbase.jobs.process_pool import default_size
from sanicbase.jobs.processes import DRAIN, Child, MainProcess, run_processes
from sanicbase.jobs.timer import Timer, check_timers
from sanicbase.jobs.timers import run_timers
from sanicbase.lifespan import Resource, lifespan
from sanicbase.log import setup_logging
from sanicbase.metrics.endpoint import MetricsAddress, open_metrics
from sanicbase.metrics.sampling import sample
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import send_slow_to
from sanicbase.process.descriptors import check_descriptor_limit
from sanicbase.process.keyboard_interrupt import raise_keyboard_interrupt
from sanicbase.process.recycling import WorkerLimits
from sanicbase.process.signals import cancel_on_signal
from sanicbase.process.systemd import Notifier
from sanicbase.server.metrics import set_main_process_gauges
from sanicbase.top.endpoint import serve_view
from sanicbase.top.snapshot import Process, RecentSlow, View

__all__ = ["Script", "run_scripts"]

logger = logging.getLogger("sanicbase.jobs")

MAX_CONCURRENCY = 10_000
MAX_PROCESSES = 1024

Script = Callable[[], Coroutine[object, object, None]]
"""A plain async function, which runs while databases and Redis are open."""


class ScriptFailed(Exception):
    """A script raised an exception; its traceback is in the log."""


def run_scripts(
    config: Config,
    scripts: Sequence[Script | Timer | Job[Any]],
    *,
    resources: Sequence[Resource] = (),
    processes: int = 1,
    concurrency: int = 10,
    pool_size: int | None = None,
    on_alert: AlertHook | None = None,
) -> None:
    """Run the scripts concurrently inside the service's lifespan, until each has ended or a signal stops the process.
    Timers among them run until that signal, and so do the jobs among them, at most `concurrency` at once.

    With `processes` above 1, that many processes run the timers and the jobs, each with its own `concurrency`. A
    process that dies is started again, and all of them stop together. Plain functions are then refused, because each
    process would run them. Each has a pool of at most `pool_size` more processes for its jobs with `process`; by
    default, all pools together have one for each CPU.

    SIGTERM and SIGINT cancel them once, and their `finally` may finish; for timers see `run_timers`, for jobs
    `run_jobs`. When a script fails, its traceback is logged, the others are cancelled, and the process exits with
    status 1. After a configuration error, it exits with a message and status 1. Resources are closed in every case. In
    a systemd unit of `Type=notify` it reports readiness and stops, and feeds the watchdog. `on_alert` sends alerts, in
    the main process; by default the robot does that ALERT_WEBHOOK names.
    """
    raise_keyboard_interrupt()
    try:
        with check_descriptor_limit():
            setup_logging(config)
            _check_processes(scripts, processes, pool_size)
            pool_size = pool_size or default_size(workers=processes)
            notifier, child = Notifier.of(os.environ), Child.of(os.environ)
            alert_hook = on_alert or configured_hook(
                config.ALERT_WEBHOOK, config.ALERT_WEBHOOK_URL, config.ALERT_WEBHOOK_SECRET
            )
            if child is not None:
                child.join()
            worker = _Worker(config, concurrency, pool_size, child)
            functions, jobs = worker.functions(scripts), _jobs(scripts)
            if child is not None:
                failed = asyncio.run(
                    _run(config, functions, jobs, resources, notifier, child.values, on_ready=worker.ready)
                )
            else:
                run = partial(_run_alone, config, functions, jobs, resources, notifier)
                grace, draw_limits = config.GRACEFUL_SHUTDOWN_TIMEOUT, partial(_limits, config)
                supervise = partial(run_processes, processes, grace, notifier, draw_limits)
                work = run if processes == 1 and not _is_recycled(config, scripts) else supervise
                failed = asyncio.run(_in_main_process(config, alert_hook, _timers(scripts), work))
    except SanicBaseError as exc:
        sys.exit(str(exc))
    if failed:
        sys.exit(1)


async def _in_main_process(
    config: Config,
    hook: AlertHook | None,
    timers: Sequence[Timer],
    run: Callable[[MainProcess], Coroutine[Any, Any, bool]],
) -> bool:
    """Run with what a main process does for others: alerts, metrics, and the view of those who watch."""
    name, slow = f"{config.SERVER_NAME}_srv", RecentSlow()
    port, setting = config.SCRIPTS_METRICS_PORT, f"{config.env_prefix()}SCRIPTS_METRICS_PORT"
    address = MetricsAddress(config.METRICS_HOST, port, setting, config.METRICS_TOKEN) if port else None
    async with open_metrics(address) as metrics, open_alerts(hook, name) as alerts:
        metrics.update_with(set_main_process_gauges)
        main = MainProcess(alerts, metrics, slow)
        view = View(name, metrics, lambda: sorted(main.processes.values()), slow, partial(_next_runs, timers, config))
        async with serve_view(view, config.private_dir()):
            return await run(main)


def _next_runs(timers: Sequence[Timer], config: Config) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {timer.name: timer.schedule(config.TIME_ZONE).after(now) for timer in timers}


async def _run_alone(
    config: Config,
    scripts: Sequence[Script],
    jobs: Sequence[Job[Any]],
    resources: Sequence[Resource],
    notifier: Notifier,
    main: MainProcess,
) -> bool:
    """Run all in the main process."""
    values, pid = main.metrics.own, os.getpid()
    main.processes[pid] = Process(0, pid, "starting", values)
    send_slow_to(main.slow.add)

    def on_ready() -> None:
        main.processes[pid] = Process(0, pid, "serving", values)

    return await _run(config, scripts, jobs, resources, notifier, values, on_ready=on_ready)


def _limits(config: Config) -> WorkerLimits | None:
    """The limits of a new process by the settings; None without any."""
    return WorkerLimits.draw(
        config.JOB_WORKER_MAX_RUNS, config.JOB_WORKER_MAX_AGE, config.JOB_WORKER_MAX_MEMORY, counts="runs"
    )


def _is_recycled(config: Config, scripts: Sequence[Script | Timer | Job[Any]]) -> bool:
    """Whether the processes are replaced when they reach a limit. Functions would be started again, and a process
    without jobs is none of those that the limits are for."""
    if _limits(config) is None or not _jobs(scripts) or sys.platform == "win32":
        return False
    plain = [_name(script) for script in scripts if not isinstance(script, Timer | Job)]
    if plain:
        logger.warning(
            "%sJOB_WORKER_MAX_… do not apply, because this process also runs functions, which would start again: %s.",
            config.env_prefix(),
            ", ".join(plain),
        )
    return not plain


class _Worker:
    """What runs in this process: functions, one that runs all timers, and one that runs all jobs."""

    def __init__(self, config: Config, concurrency: int, pool_size: int, child: Child | None) -> None:
        self._config = config
        self._concurrency = concurrency
        self._pool_size = pool_size
        self._child = child
        self._drain = asyncio.Event()

    def functions(self, scripts: Sequence[Script | Timer | Job[Any]]) -> list[Script]:
        """The functions to run. Raises ConfigError for two timers or jobs of the same name."""
        timers, jobs = _timers(scripts), _jobs(scripts)
        check_timers(timers)
        check_jobs(jobs)
        if not 1 <= self._concurrency <= MAX_CONCURRENCY:
            raise ConfigError(_("`concurrency` must be from 1 to {maximum}.", maximum=MAX_CONCURRENCY))

        async def run_all_timers() -> None:
            await self._until_drained(run_timers(timers, self._config, self._drain))

        async def run_all_jobs() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run_jobs(jobs), name="jobs")
                group.create_task(self._until_drained(run_relays()), name="relays")

        functions = [script for script in scripts if not isinstance(script, Timer | Job)]
        return [*functions, *([run_all_timers] if timers else ()), *([run_all_jobs] if jobs else ())]

    def ready(self) -> None:
        """Tell the main process that this one runs, and do as it says."""
        if self._child is not None:
            asyncio.get_running_loop().add_signal_handler(DRAIN, self._drain.set)
            self._child.ready()

    async def _run_jobs(self, jobs: Sequence[Job[Any]]) -> None:
        from sanicbase.jobs.worker import run_jobs  # it imports taskiq, which other processes do not need

        counts = self._child is not None and self._config.JOB_WORKER_MAX_RUNS
        await run_jobs(
            jobs,
            self._config,
            concurrency=self._concurrency,
            pool_size=self._pool_size,
            drain=self._drain,
            on_end=self._child.count_run if self._child and counts else bool,
        )

    async def _until_drained(self, work: Coroutine[object, object, None]) -> None:
        """Do that until this process drains."""
        task, draining = asyncio.create_task(work), asyncio.create_task(self._drain.wait())
        try:
            await asyncio.wait({task, draining}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _check_processes(scripts: Sequence[Script | Timer | Job[Any]], processes: int, pool_size: int | None) -> None:
    if not 1 <= processes <= MAX_PROCESSES:
        raise ConfigError(_("`processes` must be from 1 to {maximum}.", maximum=MAX_PROCESSES))
    if pool_size is not None and not 1 <= pool_size <= MAX_PROCESSES:
        raise ConfigError(_("`pool_size` must be from 1 to {maximum}.", maximum=MAX_PROCESSES))
    in_pools = [script.name for script in _jobs(scripts) if script.process]
    if in_pools and sys.platform == "win32":
        raise ConfigError(_("Jobs with `process` need a POSIX system: {names}.", names=", ".join(in_pools)))
    if processes == 1:
        return
    if sys.platform == "win32":
        raise ConfigError(_("`processes` needs a POSIX system: start the launch file several times instead."))
    plain = [_name(script) for script in scripts if not isinstance(script, Timer | Job)]
    if plain:
        raise ConfigError(
            _(
                "`processes` is for timers and jobs, and each process would run {functions}. Run functions in a launch "
                "file of their own, or as a command.",
                functions=", ".join(plain),
            )
        )


def _timers(scripts: Sequence[Script | Timer | Job[Any]]) -> list[Timer]:
    return [script for script in scripts if isinstance(script, Timer)]


def _jobs(scripts: Sequence[Script | Timer | Job[Any]]) -> list[Job[Any]]:
    return [script for script in scripts if isinstance(script, Job)]


async def _run(
    config: Config,
    scripts: Sequence[Script],
    jobs: Sequence[Job[Any]],
    resources: Sequence[Resource],
    notifier: Notifier,
    values: SharedValues,
    *,
    on_ready: Callable[[], None],
) -> bool:
    """Run all, and return whether one of them failed."""
    cancel_on_signal(on_first=lambda: notifier.stopping("Stopping the scripts."), once=True)
    failed = False
    with suppress(asyncio.CancelledError):
        async with lifespan(config, *resources):
            check_completions(jobs)
            upkeep = [asyncio.create_task(notifier.feed_watchdog()), asyncio.create_task(sample(values))]
            notifier.ready("The scripts are running.")
            on_ready()
            try:
                async with asyncio.TaskGroup() as group:
                    for script in scripts:
                        group.create_task(_run_one(script), name=_name(script))
            except* ScriptFailed:
                failed = True
            finally:
                notifier.stopping("Closing the resources.")
                for task in upkeep:
                    task.cancel()
    return failed


async def _run_one(script: Script) -> None:
    start_scope()
    try:
        await script()
    except Exception as exc:
        logger.exception("The script %s failed: the others are cancelled.", _name(script))
        raise ScriptFailed from exc


def _name(script: Script) -> str:
    return getattr(script, "__name__", repr(script))
