"""How much one request to Redis is about: while Redis answers it, everybody else waits.

What is written is bounded by the number of keys and by the bytes. Readers cannot know the size of an entry before they
have it. They go by the size of the last ones, so a request whose entries are much larger than those may be answered by
BATCH * LARGEST_VALUE bytes, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["BATCH", "BATCH_BYTES", "CLOSING_BATCH", "LARGEST_VALUE", "in_batches"]

BATCH = 100  # keys that one request reads or stores: one or two milliseconds of Redis
CLOSING_BATCH = 50  # keys that one request closes or opens: the entries of each shape go as well, which takes longer
BATCH_BYTES = 256 * 1024  # of the values of one request
LARGEST_VALUE = 256 * 1024  # bytes of a value that is stored

T = TypeVar("T")


def in_batches(items: Sequence[T], *, size: Callable[[T], int] | None = None, most: int = BATCH) -> Iterator[list[T]]:
    """The items in their order, `most` at a time, and no more at a time than have BATCH_BYTES by their `size`.

    A single item may be larger than that.
    """
    waiting = iter(items)
    if size is None:
        while batch := list(islice(waiting, most)):
            yield batch
        return
    batch, total = [], 0
    for item in waiting:
        bytes_ = size(item)
        if batch and (len(batch) == most or total + bytes_ > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += bytes_
    if batch:
        yield batch
