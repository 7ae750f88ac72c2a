"""Parts of longer lists, as a handler returns them and as the envelope of an answer gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["KeysetPage", "Page"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a longer list. The envelope gives `items` as `data`, and `total`, the length of the list, beside it."""

    items: Sequence[T]
    total: int

    def map(self, function: Callable[[T], U]) -> Page[U]:
        """The page with each item replaced by what the function makes of it."""
        return Page([function(item) for item in self.items], self.total)


@dataclass(frozen=True)
class KeysetPage(Generic[T]):
    """A part of a longer list that is walked along. The envelope gives `items` as `data`, and the cursors beside it.

    `next` and `previous` are the cursors of the pages after and before this one, None at the ends of the list.
    """

    items: Sequence[T]
    next: str | None
    previous: str | None

    def map(self, function: Callable[[T], U]) -> KeysetPage[U]:
        """The page with each item replaced by what the function makes of it."""
        return KeysetPage([function(item) for item in self.items], self.next, self.previous)
