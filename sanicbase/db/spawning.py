"""Tasks that are outside of the transaction they were started in."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from tortoise.backends.base.client import TransactionalDBClient
from tortoise.context import get_current_context

__all__ = ["spawn", "spawned_are_done"]

T = TypeVar("T")

logger = logging.getLogger("sanicbase.db")

CANCEL_TIMEOUT = 1.0  # seconds for a cancelled task to end; one that refuses must not keep the databases open

_tasks: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Start a task that is outside of every open transaction.

    A plain task is inside: it uses the transaction's connection, and fails when it outlives the transaction. What was
    spawned is waited for when the databases are closed, five seconds at most; an exception of it is logged.
    """
    context = contextvars.copy_context()
    context.run(_leave_transactions)
    task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
    _tasks.add(task)
    task.add_done_callback(_done)
    return task


async def spawned_are_done(within: float) -> None:
    """Wait for what was spawned on this loop, and for what that spawns; what is late is cancelled, and logged."""
    deadline = asyncio.get_running_loop().time() + within
    while waiting := _spawned():
        left = deadline - asyncio.get_running_loop().time()
        _, late = await asyncio.wait(waiting, timeout=max(0, left))
        for task in late:
            logger.warning("The task %s is cancelled: the databases are closed.", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_TIMEOUT)
            return


def _spawned() -> set[asyncio.Task[Any]]:
    loop = asyncio.get_running_loop()
    return {task for task in _tasks if task.get_loop() is loop and task is not asyncio.current_task()}


def _leave_transactions() -> None:
    context = get_current_context()
    if context is None:
        return
    for name in context.connections.db_config:
        connection: Any = context.connections.get(name)
        while isinstance(connection, TransactionalDBClient):
            connection = connection._parent
        context.connections.set(name, connection)


def _done(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("The task %s failed.", task.get_name(), exc_info=error)
