"""What a cancellation may not cut in two, and whose it is when a task was cancelled by more than one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["take_back", "to_the_end"]

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await work that must not be left half done, and has an end.

    A cancellation of the caller is raised when it has ended, in place of its result; an error of it is the cause.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:  # once more: the first is raised already
                continue
        if not task.cancelled() and (error := task.exception()) is not None:
            raise asyncio.CancelledError from error
        raise


def take_back(task: asyncio.Task[Any], before: int) -> bool:
    """Take back our own cancellation of a task; whether nobody else has cancelled it, and is then to be obeyed.

    `before` is what `task.cancelling()` was when our block began, as in `asyncio.timeout`.
    """
    return task.uncancel() <= before
