"""Pages of lists, as handlers return them and the envelope contains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

__all__ = ["EstimatedPage", "KeysetPage", "Page"]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list. The envelope has `items` as `data`, and `total`, the length of the list.

    `total` is None when the list's `Meta.total` and the request leave it out.
    """

    items: Sequence[T]
    total: int | None

    def map(self, function: Callable[[T], U]) -> Page[U]:
        """The page with the function applied to each item."""
        page: Any = replace(self, items=cast(Any, [function(item) for item in self.items]))
        mapped: Page[U] = page
        return mapped


@dataclass(frozen=True)
class EstimatedPage(Page[T]):
    """A page of a list whose `Meta.total` is not always exact. The envelope has `estimated` as well.

    `estimated` is whether `total` is an estimate of the database's optimizer.
    """

    estimated: bool = False


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
