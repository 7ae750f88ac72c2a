"""Pages of lists, as handlers return them and the envelope contains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["KeysetPage", "Page"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list. The envelope has `items` as `data`, and `total`, the length of the list."""

    items: Sequence[T]
    total: int

    def map(self, function: Callable[[T], U]) -> Page[U]:
        """The page with the function applied to each item."""
        return Page([function(item) for item in self.items], self.total)


@dataclass(frozen=True)
class KeysetPage(Generic[T]):
    """A page of a list with cursors. The envelope has `items` as `data`, and the cursors.

    `next` and `previous` are the cursors of the pages after and before this one, None at the ends of the list.
    """

    items: Sequence[T]
    next: str | None
    previous: str | None

    def map(self, function: Callable[[T], U]) -> KeysetPage[U]:
        """The page with the function applied to each item."""
        return KeysetPage([function(item) for item in self.items], self.next, self.previous)
