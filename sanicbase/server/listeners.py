"""Sanic's listeners of the main process; serve() calls them when Sanic's own main process would."""

from __future__ import annotations

import asyncio
import inspect
from typing import Literal

from sanicbase.server.context import App

__all__ = ["MainProcessEvent", "call_listeners"]

MainProcessEvent = Literal[
    "main_process_start",
    "main_process_ready",
    "main_process_stop",
    "before_reload_trigger",
    "after_reload_trigger",
]


async def call_listeners(app: App, event: MainProcessEvent, **values: object) -> None:
    """Call the app's listeners of an event one after another, in the order of their registration.

    A listener takes the app, or the app and the loop, and then `values` as keyword arguments. An exception of a
    listener is raised, and the listeners after it are not called.
    """
    loop = asyncio.get_running_loop()
    for listener in list(app.listeners[event]):
        arguments = (app,) if _accepts(listener, app, **values) else (app, loop)
        result = listener(*arguments, **values)
        if inspect.isawaitable(result):
            await result


def _accepts(listener: object, *arguments: object, **values: object) -> bool:
    if not callable(listener):
        return False
    try:
        inspect.signature(listener).bind(*arguments, **values)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True
