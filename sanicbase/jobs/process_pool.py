"""ProcessPool: the processes in which a worker runs its jobs with `process=True`.

A process is a new Python (no fork, because the worker has threads), which imports the function and runs one job at a
time. The worker and the process have one end of a socket each, and send JSON. Nothing is shared between processes, so
one that dies or is killed fails its own job only, and the next job starts another one.

| event | what happens |
|---|---|
| the run is cancelled: a timeout, a lost job, the end of the grace | the process is killed |
| the process dies, or cannot be started | ProcessDied or OSError, which is a failed run |
| the worker dies | its processes are killed (parent-death signal) |
| SIGTERM or SIGINT reaches all processes of the service | these ignore it, and the worker ends them |
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.spawn import get_preparation_data
from typing import Any, Self

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.declaration import Job, imported_function
from sanicbase.jobs.run import JobRun

__all__ = ["FailedInProcess", "PooledProcess", "ProcessDied", "ProcessPool", "check_importable", "default_size"]

HEADER = 4  # bytes with the length of what follows
LAST_SECONDS = 1.0  # seconds between the end of a process's socket and its own
MAIN = ("name", "sys_path", "sys_argv", "orig_dir", "dir", "init_main_from_name", "init_main_from_path")
# Signals are ignored before the imports, which take longer.
COMMAND = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
from sanicbase.jobs.pooled_process import main
main()
"""


class FailedInProcess(Exception):
    """The function raised an exception in its process. The text is that of the exception, and a note has its
    traceback."""


class ProcessDied(Exception):
    """The process ended during the run: it crashed, was killed, or ran out of memory."""


class ProcessPool:
    """At most `size` processes, each of which runs one job at a time. They are started when they are needed."""

    def __init__(self, jobs: Iterable[Job[Any]], size: int) -> None:
        """The processes import the modules of these jobs when they start."""
        self._modules = sorted({job.function.__module__ for job in jobs if job.process})
        self._room = asyncio.Semaphore(size)
        self._idle: list[PooledProcess] = []

    async def acquire(self) -> PooledProcess:
        """Wait until a process is free, or until a new one has imported the modules. Raises ProcessDied and OSError
        when none can be started."""
        await self._room.acquire()
        try:
            while self._idle:
                process = self._idle.pop()
                if not process.has_ended:
                    return process
                await process.kill()
            return await PooledProcess.start(self._modules)
        except BaseException:
            self._room.release()
            raise

    def release(self, process: PooledProcess) -> None:
        """Give the process back."""
        if not process.has_ended:
            self._idle.append(process)
        self._room.release()

    async def close(self) -> None:
        """Kill the processes, which are idle. Every run must have ended."""
        await asyncio.gather(*(process.kill() for process in self._idle))
        self._idle.clear()


class PooledProcess:
    """One process. Its owner is the run that has acquired it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, modules: Sequence[str]) -> Self:
        """Start a process, and return when it has imported the modules. Raises ProcessDied and OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-c", COMMAND, str(theirs.fileno()), str(os.getpid())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except BaseException:
                writer.close()
                raise
        started = cls(process, reader, writer)
        preparation: dict[str, Any] = get_preparation_data("job")
        main = {key: preparation[key] for key in MAIN if key in preparation}
        level = logging.getLogger().getEffectiveLevel()
        await started._ask({"level": level, "modules": modules, "main": main})
        return started

    @property
    def has_ended(self) -> bool:
        """Whether it has died, or was killed."""
        return self._process.returncode is not None

    async def run(self, job: Job[Any], run: JobRun, arguments: bytes) -> bytes:
        """Call the function with these arguments (JSON), and return its result as JSON, if the job keeps it. A
        cancellation kills the process. Raises FailedInProcess and ProcessDied."""
        answer = await self._ask(_request(job, run, arguments))
        if "error" in answer:
            error = FailedInProcess(answer["error"])
            error.add_note(f"In its process:\n{answer['trace']}")
            raise error
        return str(answer["result"]).encode()

    async def kill(self) -> int:
        """Kill the process, unless it has ended, and return its status."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        return await self._process.wait()

    async def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        """Send a message, and return the answer. If there is none, the process is killed."""
        data = json.dumps(request).encode()
        self._writer.write(len(data).to_bytes(HEADER, "big") + data)
        answering = asyncio.create_task(self._answer())
        dying = asyncio.create_task(self._process.wait())
        try:
            # A process that has started others may die without the end of its socket.
            await asyncio.wait({answering, dying}, return_when=asyncio.FIRST_COMPLETED)
            with suppress(OSError, EOFError, asyncio.InvalidStateError):
                return answering.result()
        except asyncio.CancelledError:
            await self.kill()
            raise
        finally:
            answering.cancel()
            dying.cancel()
        raise ProcessDied(_describe(await self._status()))

    async def _status(self) -> int:
        """The status of a process that has ended, or has closed its socket and is killed."""
        # First without a signal: subprocess would collect the status, and asyncio not know it.
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._process.wait()
        return await self.kill()

    async def _answer(self) -> dict[str, Any]:
        """The next message that is not a line of the log."""
        while True:
            header = await self._reader.readexactly(HEADER)
            message: dict[str, Any] = json.loads(await self._reader.readexactly(int.from_bytes(header, "big")))
            if "log" not in message:
                return message
            record = logging.makeLogRecord(message["log"])
            logging.getLogger(record.name).handle(record)


def _request(job: Job[Any], run: JobRun, arguments: bytes) -> dict[str, object]:
    return {
        "module": job.function.__module__,
        "function": job.function.__qualname__,
        "keeps_result": job.keep_result is not None,
        "id": run.id,
        "name": run.name,
        "attempt": run.attempt,
        "arguments": arguments.decode(),
    }


def _describe(status: int) -> str:
    if status >= 0:
        return f"Its process ended with status {status}."
    return f"Its process was ended by {signal.Signals(-status).name}."


def default_size(workers: int) -> int:
    """The processes of each of so many workers: one for each CPU that this process may use, in all."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cpus // workers)


def check_importable(job: Job[Any]) -> None:
    """Raise ConfigError for a job whose function another process does not find at its name."""
    function = job.function
    path = f"{function.__module__}.{function.__qualname__}"
    try:
        is_there = imported_function(function.__module__, function.__qualname__) is function
    except (ImportError, AttributeError):
        is_there = False
    if not is_there:
        raise ConfigError(
            _(
                "The job {name} has `process`, but its function is not at {path}, where a process would import it. "
                "Define it with `def` at the top level of a module.",
                name=job.name,
                path=path,
            )
        )
