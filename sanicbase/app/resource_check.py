"""The main process checks the resources in a process of its own, which is forked for that.

Opening them writes to a fifth of the memory that the main process shares with its workers, so it would share that no
more. The forked process is a main process as well: it prepares tables, and names itself so in the log.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from sanic import Sanic

from sanicbase.errors import ResourceError, SanicBaseError
from sanicbase.process.parent import die_with_parent
from sanicbase.process.signals import cancel_on_signal
from sanicbase.server.context import App
from sanicbase.server.launcher import Launcher, describe_end
from sanicbase.server.template import TemplateFailed, name_process

__all__ = ["check_in_fork"]

STOPPED = 3  # the status of a check that a signal has cancelled


async def check_in_fork(launcher: Launcher, name: str) -> None:
    """Open and close the resources of that app in a forked process, and wait for its end.

    Raises ResourceError with the message of an error of sanicbase, and SystemExit for any other error, whose traceback
    the process has written. A cancellation is passed on to it; a second one kills it.
    """
    receiving, sending = Pipe(duplex=False)
    with receiving:
        with sending:
            try:
                child = launcher.start(target=run_check, args=(name, sending), name="MainProcess", daemon=True)
            except TemplateFailed as exc:
                raise ResourceError(f"{name} could not start: {exc}.") from exc
        try:
            await _end_of(child)
        except asyncio.CancelledError:
            child.terminate()
            await _end_of(child)
            raise
        finally:
            child.kill()
            child.join()
        message = _message(receiving)
    if message:
        raise ResourceError(message)
    if child.exitcode and child.exitcode < 0:
        raise ResourceError(f"{name} could not start: the check of its resources {describe_end(child.exitcode)}.")
    if child.exitcode:
        sys.exit(1)


async def _end_of(child: BaseProcess) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(child.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(child.sentinel)


def _message(receiving: Connection[bytes, bytes]) -> str:
    with suppress(EOFError):  # there was no error
        return receiving.recv_bytes().decode()
    return ""


def run_check(name: str, sending: Connection[bytes, bytes]) -> None:
    """Check the resources of that app. The target of a child process."""
    die_with_parent()
    name_process("sanic-check")
    app: App = Sanic.get_app(name)
    try:
        asyncio.run(_check(app))
    except SanicBaseError as exc:
        sending.send_bytes(str(exc).encode())
        raise SystemExit(1) from None
    except asyncio.CancelledError:
        raise SystemExit(STOPPED) from None


async def _check(app: App) -> None:
    cancel_on_signal()
    assert app.ctx.check_resources is not None  # noqa: S101  (create_app sets it)
    await app.ctx.check_resources()
