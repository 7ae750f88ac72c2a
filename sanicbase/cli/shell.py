"""`sanicGuider shell`: a Python console inside the service's lifespan, where `await` can be written at the prompt."""

from __future__ import annotations

import ast
import asyncio
import code
import concurrent.futures
import inspect
import sys
import threading
from contextlib import suppress
from types import CodeType
from typing import Any

import click
from tortoise import Tortoise

from sanicbase.cli.project import of_service
from sanicbase.config import Config
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.lifespan import lifespan
from sanicbase.rc.model import declared
from sanicbase.terminal import say

__all__ = ["shell"]


@click.command()
@of_service
def shell(service: str) -> None:
    """A Python console inside of the lifespan of a SERVICE, with its models, its cache models and `config` at hand.

    `await` can be written at the prompt: `await Article.all()`.
    """
    try:
        asyncio.run(_converse(service_config(service)))
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc


async def _converse(config: Config) -> None:
    async with lifespan(config):
        names = _at_hand(config)
        console = _Console(names, asyncio.get_running_loop())
        listed = ", ".join(sorted(names.keys() - {"config", "asyncio"}))
        banner = say(f"{config.SERVER_NAME} is open: {listed}", f"{config.SERVER_NAME} 已打开：{listed}")
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def talk() -> None:
            with suppress(SystemExit):
                console.interact(banner=banner, exitmsg="")
            loop.call_soon_threadsafe(ended.set)

        # The prompt waits in a thread; what is typed runs on the loop, as the service's own code does.
        threading.Thread(target=talk, daemon=True).start()
        await ended.wait()


def _at_hand(config: Config) -> dict[str, Any]:
    models = {name: model for app in Tortoise.apps.values() for name, model in app.items() if name != "Aerich"}
    caches = {cls.__name__: cls for cls in declared if cls.__module__.startswith(f"{config.SERVER_NAME}.")}
    return {"asyncio": asyncio, "config": config, **models, **caches}


class _Console(code.InteractiveConsole):
    """A console whose lines run on an event loop, as `python -m asyncio` has it."""

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(names)
        self._loop = loop
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def runcode(self, compiled: CodeType) -> None:
        """Run one entry, and wait for it when it awaits something."""
        future: concurrent.futures.Future[object] = concurrent.futures.Future()

        async def run() -> None:
            try:
                result = eval(compiled, self.locals)  # noqa: S307  (it is what a console does)
                future.set_result(await result if inspect.iscoroutine(result) else result)
            except BaseException as exc:  # whatever was typed is shown, and the console goes on
                future.set_exception(exc)

        asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            future.result()
        except SystemExit:
            raise
        except BaseException:
            self.showtraceback()
        sys.stdout.flush()
