"""Background tasks, which run outside the transaction they were started in."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from tortoise.backends.base.client import TransactionalDBClient
from tortoise.context import get_current_context

__all__ = ["spawn", "wait_for_background_tasks"]

T = TypeVar("T")

logger = logging.getLogger("sanicbase.db")

CANCEL_TIMEOUT = 1.0  # seconds for a cancelled task to end, before the databases are closed

_tasks: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Start a background task outside every open transaction.

    A task of asyncio is inside: it uses the transaction's connection, and fails when it outlives the transaction. The
    databases wait up to five seconds for background tasks when they close. An exception of the task is logged.
    """
    context = contextvars.copy_context()
    context.run(_leave_transactions)
    task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
    _tasks.add(task)
    task.add_done_callback(_log_failure)
    return task


async def wait_for_background_tasks(seconds: float) -> None:
    """Wait for the background tasks of this loop and those that they start; then cancel and log the remaining ones."""
    deadline = asyncio.get_running_loop().time() + seconds
    while running := _running_tasks():
        remaining = deadline - asyncio.get_running_loop().time()
        _, late = await asyncio.wait(running, timeout=max(0, remaining))
        for task in late:
            logger.warning("The background task %s was cancelled, because the databases are closed.", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_TIMEOUT)
            return


def _running_tasks() -> set[asyncio.Task[Any]]:
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


def _log_failure(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("The background task %s failed.", task.get_name(), exc_info=error)
