"""The size of one request to Redis. While Redis handles a request, all other clients wait.

Writes are bounded by the number of keys and by bytes. Readers do not know the size of an entry in advance: they assume
that of the last entries, so one request for much larger entries may return BATCH * MAX_VALUE_BYTES bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["BATCH", "BATCH_BYTES", "CLOSING_BATCH", "MAX_VALUE_BYTES", "in_batches"]

BATCH = 100  # keys that one request reads or stores: one or two milliseconds in Redis
CLOSING_BATCH = 50  # keys that one request closes or opens: it also deletes the entries of each shape
BATCH_BYTES = 256 * 1024  # of the values in one request
MAX_VALUE_BYTES = 256 * 1024  # bytes of a value that is stored

T = TypeVar("T")


def in_batches(
    items: Sequence[T], *, size: Callable[[T], int] | None = None, max_items: int = BATCH
) -> Iterator[list[T]]:
    """The items in batches of at most `max_items` and, by their `size`, BATCH_BYTES bytes; one item may be larger."""
    remaining = iter(items)
    if size is None:
        while batch := list(islice(remaining, max_items)):
            yield batch
        return
    batch, total = [], 0
    for item in remaining:
        item_size = size(item)
        if batch and (len(batch) == max_items or total + item_size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += item_size
    if batch:
        yield batch
