"""Work that a cancellation must not interrupt, and cancellations that come from several sources."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_shielded", "uncancel"]

T = TypeVar("T")


async def run_shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await work that must not be interrupted, and that ends by itself.

    A cancellation of the caller is raised after the work has ended, instead of its result. If the work failed, its
    error is the cause.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:  # a further one: the first is raised below
                continue
        if not task.cancelled() and (error := task.exception()) is not None:
            raise asyncio.CancelledError from error
        raise


def uncancel(task: asyncio.Task[Any], before: int) -> bool:
    """Undo our own cancellation of a task. Returns False when it was also cancelled by others, which then must win.

    `before` is `task.cancelling()` at the start of our block, as in `asyncio.timeout`.
    """
    return task.uncancel() <= before
