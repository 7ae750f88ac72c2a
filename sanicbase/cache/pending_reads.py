"""Pending reads: keys with the callers that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar

__all__ = [
    "KeyValues",
    "LoadFailure",
    "ManyReads",
    "PendingRead",
    "PendingReads",
    "Reads",
    "fail_all",
    "ignore_all",
    "wait_for_all",
]

T = TypeVar("T")
KeyValues = tuple[Any, ...]
NAME: Callable[[tuple[str, KeyValues]], str] = itemgetter(0)


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """The error of a load, in place of a value."""

    error: Exception


@dataclass(slots=True)
class PendingRead(Generic[T]):
    """A key with the futures of its callers."""

    values: KeyValues
    waiting: list[asyncio.Future[T | None]]
    is_valid: bool = True  # its entry in Redis is not corrupt
    not_stored: bool = False  # its value is too large for Redis, or not JSON

    def answer(self, value: T | LoadFailure | None, copy: Callable[[T], T] | None = None) -> None:
        """Give the value to the first caller, and copies to the others, unless it can be shared."""
        if isinstance(value, LoadFailure):
            self.fail(value.error)
            return
        if len(self.waiting) == 1:
            future = self.waiting.pop()
            if not future.done():
                future.set_result(value)
            return
        first = True
        for future in self.waiting:
            if not future.done():
                future.set_result(value if first or copy is None or value is None else copy(value))
                first = False
        self.waiting.clear()

    def fail(self, error: BaseException) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)
        self.waiting.clear()


PendingReads = dict[str, PendingRead[T]]


class ManyReads(Generic[T]):
    """The keys of one caller, which gets all values at once when all are hits. It iterates over the names of the keys.

    `answer` is None when the values come one by one, by the `futures` in the order of the keys.
    """

    __slots__ = ("_keys", "answer", "futures")

    def __init__(self, keys: Sequence[tuple[str, KeyValues]], answer: asyncio.Future[list[T | None] | None]) -> None:
        self._keys = keys
        self.answer = answer
        self.futures: list[asyncio.Future[T | None]] = []

    def __iter__(self) -> Iterator[str]:
        return map(NAME, self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def set_result(self, values: list[T | None]) -> None:
        """Answer the caller, unless it was cancelled."""
        if not self.answer.done():
            self.answer.set_result(values)

    def one_by_one(self) -> PendingReads[T]:
        """The reads of each key; the caller now awaits their futures."""
        reads: PendingReads[T] = {name: PendingRead(values, []) for name, values in self._keys}
        if self.answer.done():  # the caller was cancelled
            return reads
        create_future = asyncio.get_running_loop().create_future
        for name, _ in self._keys:
            self.futures.append(future := create_future())
            reads[name].waiting.append(future)
        self.answer.set_result(None)
        return reads


Reads = PendingReads[T] | ManyReads[T]


def fail_all(reads: PendingReads[Any], error: BaseException) -> None:
    """Raise the error in all callers that are still waiting."""
    for read in reads.values():
        read.fail(error)


async def wait_for_all(futures: Sequence[asyncio.Future[T]]) -> list[T]:
    """The values of all; when one fails, the others are ignored."""
    try:
        return [await future for future in futures]
    except BaseException:
        ignore_all(futures)
        raise


def ignore_all(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Stop awaiting these, and ignore their results."""
    for future in futures:
        if not future.cancel() and not future.cancelled():
            future.exception()  # raised once, for all
