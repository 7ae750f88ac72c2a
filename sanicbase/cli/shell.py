"""`sanicGuider shell`: a Python console in the service's lifespan, with `await` at the prompt."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import signal
import sys
import traceback
from contextlib import suppress
from types import CodeType
from typing import Any

import click
from anyio.from_thread import BlockingPortal, start_blocking_portal
from tortoise import Tortoise

from sanicbase.cache.model import cache_models
from sanicbase.cli.project import service_argument
from sanicbase.config import Config
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.lifespan import lifespan
from sanicbase.process.signals import interrupt_while_blocked

__all__ = ["shell"]


@click.command()
@service_argument
def shell(service: str) -> None:
    """Open a Python console in the lifespan of a SERVICE, with its models, its cache models and `config`.

    You can use `await` at the prompt: `await Article.all()`. Ctrl-C cancels the current await, Ctrl-D exits.
    """
    try:
        config = service_config(service)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
    # Input runs on an event loop in another thread, like the service's code; this thread has the prompt and gets
    # Ctrl-C.
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(lifespan(config)):
        _interact(config, portal)


def _interact(config: Config, portal: BlockingPortal) -> None:
    names = _namespace(config)
    _edit_lines(names)
    listed = ", ".join(sorted(names.keys() - {"config", "asyncio"}))
    banner = _("{service} is open: {names}", service=config.SERVER_NAME, names=listed)
    with suppress(SystemExit), interrupt_while_blocked():
        _Console(names, portal).interact(banner=banner, exitmsg="")


def _namespace(config: Config) -> dict[str, Any]:
    models = {name: model for app in Tortoise.apps.values() for name, model in app.items() if name != "Aerich"}
    caches = {cls.__name__: cls for cls in cache_models if cls.__module__.startswith(f"{config.SERVER_NAME}.")}
    return {"asyncio": asyncio, "config": config, **models, **caches}


def _edit_lines(names: dict[str, Any]) -> None:
    """Enable history and completion like in Python's own console, if readline is available."""
    with suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")


class _Console(code.InteractiveConsole):
    """A console whose input runs on an event loop, like `python -m asyncio`."""

    def __init__(self, names: dict[str, Any], portal: BlockingPortal) -> None:
        super().__init__(names)
        self._portal = portal
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def runcode(self, compiled: CodeType) -> None:
        """Run the input, and wait for it if it is awaitable."""
        pressed: list[int] = []  # an interrupt while it starts would leave it running, with nobody to cancel it
        interrupt = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
        running = self._portal.start_task_soon(self._ended, compiled)
        try:
            signal.signal(signal.SIGINT, interrupt)
            if pressed:
                raise KeyboardInterrupt  # noqa: TRY301  (handled as one that comes later)
            error = running.result()
        except KeyboardInterrupt:
            running.cancel()
            self.write("KeyboardInterrupt\n")
            return
        if isinstance(error, SystemExit):
            raise error
        if error is not None:
            self.showerror(error)
        sys.stdout.flush()

    async def _ended(self, compiled: CodeType) -> BaseException | None:
        """Run the input, and return its exception, which is printed."""
        try:
            result = eval(compiled, self.locals)  # noqa: S307  (it is what a console does)
            if inspect.iscoroutine(result):
                await result
        except BaseException as exc:
            return exc
        return None

    def showerror(self, error: BaseException) -> None:
        """Print the traceback without the lines of this module."""
        trace = error.__traceback__ and error.__traceback__.tb_next
        self.write("".join(traceback.format_exception(type(error), error, trace)))
