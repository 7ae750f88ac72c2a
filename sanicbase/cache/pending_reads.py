"""Pending reads: keys with the callers that wait for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sanicbase.errors import NotOpenError

__all__ = ["FailOnError", "KeyValues", "LoadFailure", "PendingRead", "PendingReads"]

T = TypeVar("T")
KeyValues = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """The error of a load, in place of a value."""

    error: Exception


@dataclass(slots=True)
class PendingRead(Generic[T]):
    """A key with the futures of its callers."""

    values: KeyValues
    waiting: list[asyncio.Future[T | None]] = field(default_factory=list)
    is_valid: bool = True  # its entry in Redis is not corrupt
    not_stored: bool = False  # its value is too large for Redis, or not JSON

    def answer(self, value: T | LoadFailure | None) -> None:
        if isinstance(value, LoadFailure):
            self.fail(value.error)
            return
        for future in self.waiting:
            if not future.done():
                future.set_result(value)
        self.waiting.clear()

    def fail(self, error: BaseException) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)
        self.waiting.clear()


PendingReads = dict[str, PendingRead[T]]


class FailOnError:
    """Raises an error of the block in all waiting callers."""

    __slots__ = ("_reads",)

    def __init__(self, reads: PendingReads[Any]) -> None:
        self._reads = reads

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            return False
        raised = error if isinstance(error, Exception) else NotOpenError("Redis was closed during this read.")
        for read in self._reads.values():
            read.fail(raised)
        return isinstance(error, Exception)
