"""Keys that somebody waits for, and what becomes of the wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sanicbase.errors import NotOpenError

__all__ = ["Failed", "Failing", "Values", "Want", "Wants"]

T = TypeVar("T")
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of a value: what its load has raised."""

    error: Exception


@dataclass(slots=True)
class Want(Generic[T]):
    """A key that somebody waits for."""

    values: Values
    waiting: list[asyncio.Future[T | None]] = field(default_factory=list)
    sound: bool = True  # what Redis has under it was ours
    not_stored: bool = False  # Redis knows that its value is too large, or not one for JSON

    def answer(self, found: T | Failed | None) -> None:
        if isinstance(found, Failed):
            self.fail(found.error)
            return
        for future in self.waiting:
            if not future.done():
                future.set_result(found)
        self.waiting.clear()

    def fail(self, error: BaseException) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)
        self.waiting.clear()


Wants = dict[str, Want[T]]


class Failing:
    """Whatever goes wrong is raised by all that wait."""

    __slots__ = ("_wants",)

    def __init__(self, wants: Wants[Any]) -> None:
        self._wants = wants

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            return False
        told = error if isinstance(error, Exception) else NotOpenError("Redis was closed while this was read.")
        for want in self._wants.values():
            want.fail(told)
        return isinstance(error, Exception)
