"""How a worker process starts: forked from a template process where that is safe, spawned elsewhere."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
from contextlib import ExitStack
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from sanicbase.server.forked_process import ForkedProcess, run_process
from sanicbase.server.template import Prepare, Template, UnsafeTemplate, fork_template, spawn_template

__all__ = ["Launcher", "describe_end"]

logger = logging.getLogger("sanicbase.app")

# A spawned child imports the launch file again, and inherits no locks of its parent.
_spawn = multiprocessing.get_context("spawn")


class Launcher:
    """Starts processes, and owns the template process. serve() owns it, and the supervisor uses it in its event loop.

    Create it before the main process opens anything: that process is forked as the first template. Leave it as a
    context manager, which ends the template; the processes that it has forked are not affected. Each template calls
    `prepare`.
    """

    def __init__(self, prepare: Prepare, *, forks: bool) -> None:
        self._prepare = prepare
        self._forks = forks and sys.platform == "linux"
        self._template: Template | None = None
        self._cause = ""
        if self._forks:
            try:
                self._template = fork_template(prepare, run_process)
            except UnsafeTemplate as exc:
                self._cause = str(exc)

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._template is not None:
            self._template.end()

    def log_fallback(self) -> None:
        """Log why the workers are spawned although they should be forked."""
        if self._cause:
            logger.warning(
                "The workers are not forked, because %s: each imports the service, which takes time and memory.",
                self._cause,
            )

    async def renew(self, seconds: float) -> None:
        """Let the next processes run the current code, which must be imported within that many seconds.

        Raises TemplateFailed when it cannot be imported; nothing has changed in that case.
        """
        if not self._forks:
            return
        with ExitStack() as stack:
            template = spawn_template(self._prepare, run_process)
            stack.callback(template.end)
            try:
                await template.ready(seconds)
            except UnsafeTemplate as exc:
                self._replace(None, str(exc))
            else:
                stack.pop_all()
                self._replace(template)

    async def replace_ended(self, seconds: float) -> None:
        """Renew the template if something has killed it. Raises TemplateFailed as `renew` does."""
        if self._template is not None and (code := self._template.exit_code) is not None:
            logger.error(
                "The template process [%d] %s. The next one imports the current code.",
                self._template.pid, describe_end(code),
            )  # fmt: skip
            await self.renew(seconds)

    @property
    def can_fork(self) -> bool:
        """Whether `start` forks."""
        return self._template is not None

    def start(self, **options: Any) -> BaseProcess:
        """Start a process with these options of `multiprocessing.Process`. Raises TemplateFailed, and the errors of
        multiprocessing for arguments that it cannot send."""
        if self._template is not None:
            forked = ForkedProcess(self._template, **options)
            try:
                forked.start()
            except UnsafeTemplate as exc:
                self._replace(None, str(exc))  # until the next reload
            else:
                return forked
        process = _spawn.Process(**options)
        _start_with_signals_blocked(process)
        return process

    def _replace(self, template: Template | None, cause: str = "") -> None:
        old, self._template, self._cause = self._template, template, cause
        if old is not None:
            old.end()
        self.log_fallback()


def _start_with_signals_blocked(process: SpawnProcess) -> None:
    """Start a process that blocks the signals that a terminal sends to all processes. The main process handles them.

    SIGTERM is not blocked. A worker that does not handle it yet has opened nothing, so the kernel may end it at once,
    and a stop does not wait for imports.
    """
    if sys.platform == "win32":
        process.start()
        return
    resource_tracker.ensure_running()  # which would inherit the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_end(exit_code: int) -> str:
    """How a process has ended, as the end of a sentence."""
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with status {exit_code}"
