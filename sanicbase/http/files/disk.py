"""An open file whose blocking calls run in threads, so that a slow disk does not stop the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

__all__ = ["DiskFile"]

T = TypeVar("T")
P = ParamSpec("P")


class DiskFile:
    """A file descriptor and its owner. One call runs at a time, and a cancelled caller does not wait for it.

    If a descriptor were closed during a call, another file could get its number in the meantime. It is therefore closed
    when the call has returned, in whichever thread that is.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._call: asyncio.Future[Any] | None = None

    @classmethod
    async def open(cls, opener: Callable[[], int]) -> DiskFile:
        """Open the file with the opener, in a thread. Raises its errors."""
        call = asyncio.get_running_loop().run_in_executor(None, opener)
        try:
            return cls(await asyncio.shield(call))
        except asyncio.CancelledError:
            call.add_done_callback(_close_opened)
            raise

    async def run(self, function: Callable[Concatenate[int, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call the function with the descriptor, in a thread."""
        call = asyncio.get_running_loop().run_in_executor(None, lambda: function(self._descriptor, *args, **options))
        self._call = call
        return await asyncio.shield(call)

    def close(self) -> None:
        """Close the file. Further calls do nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._call is None or self._call.done():
            os.close(descriptor)
        else:
            self._call.add_done_callback(lambda call: _close_after(call, descriptor))


def _close_opened(call: asyncio.Future[int]) -> None:
    if not call.cancelled() and call.exception() is None:
        os.close(call.result())


def _close_after(call: asyncio.Future[Any], descriptor: int) -> None:
    os.close(descriptor)
    if not call.cancelled():
        call.exception()  # its caller was cancelled
