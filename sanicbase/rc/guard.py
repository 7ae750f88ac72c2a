"""Cancelling a block from within its own process."""

from __future__ import annotations

import asyncio

from sanicbase.process.cancelling import take_back

__all__ = ["Guard"]


class Guard:
    """Cancels the task that it was made in when what its block needs is lost, and tells its cancellation from others,
    as `asyncio.timeout` does. `late` is what is said when that is by the clock."""

    def __init__(self, late: str) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (for mypy: an `async with` runs in a task)
        self._task = task
        self._cancelling = task.cancelling()
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        self._fired = False
        self.loss = ""

    def lasts_until(self, moment: float) -> None:
        """Take it for lost at that time of the event loop's clock, unless there is a later one by then."""
        if self._timer:
            self._timer.cancel()
        if self._open:
            self._timer = asyncio.get_running_loop().call_at(moment, self.lose, self._late)

    def lose(self, why: str) -> None:
        """It is lost: cancel the block."""
        if self._open and not self._fired:
            self.loss, self._fired = why, True
            self._task.cancel()

    async def close(self, error: BaseException | None) -> bool:
        """The block has ended with that error: cancel nothing more, and return whether it is our cancellation."""
        self._open = False
        if self._timer:
            self._timer.cancel()
        if not self._fired:
            return False
        ours = isinstance(error, asyncio.CancelledError)
        try:
            if not ours:  # it may not have been delivered yet, and would hit whatever is awaited next
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if not take_back(self._task, self._cancelling):
                raise
            return False
        return take_back(self._task, self._cancelling) and ours
