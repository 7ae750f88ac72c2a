"""Reads of cache models as spans of a trace. Only a process that traces has readers of these classes.

A read is a span with its outcome: `hit`, `wait` (for the load of another reader), `fill` or `bypass`. A load is shared
by its readers, so its span, with the statements below it, is in the trace of the first reader whose trace is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from sanicbase.cache.pending_reads import KeyValues, PendingReads, wait_for_all
from sanicbase.cache.reader import Reader
from sanicbase.cache.unique_index import IndexEntry, UniqueIndex
from sanicbase.tracing import current_recorder, sampled_recorder

__all__ = ["TracedReader", "TracedUniqueIndex", "reader_class", "unique_index_class"]

T = TypeVar("T")

MODEL, OUTCOME, KEYS = "sanicbase.cache.model", "sanicbase.cache.outcome", "sanicbase.cache.keys"


class TracedReader(Reader[T]):
    """A reader whose reads are spans."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._model = self._keyspace.prefix.removesuffix(":").rpartition(":")[2]
        self._spans: dict[str, list[Any]] = {}  # of the reads that wait, by their keys

    def read(self, key: str, values: KeyValues) -> asyncio.Future[T | None]:
        """See Reader."""
        future = super().read(key, values)
        recorder = sampled_recorder()
        if recorder is not None:
            span = recorder.begin(f"get {self._model}", "internal", {MODEL: self._model, OUTCOME: "hit"})
            self._watch(key, span, future)
            future.add_done_callback(partial(_end, span))
        return future

    async def read_many(self, keys: Sequence[tuple[str, KeyValues]]) -> list[T | None]:
        """See Reader."""
        recorder = sampled_recorder()
        if recorder is None:
            return await super().read_many(keys)
        attributes: dict[str, str | int] = {MODEL: self._model, OUTCOME: "hit", KEYS: len(keys)}
        with recorder.span(f"get_many {self._model}", "internal", attributes) as span:
            futures = []
            for key, values in keys:
                futures.append(future := super().read(key, values))
                self._watch(key, span, future)
            return await wait_for_all(futures)

    def _watch(self, key: str, span: Any, future: asyncio.Future[Any]) -> None:
        """Keep the span of a read until it is answered."""
        self._spans.setdefault(key, []).append(span)
        future.add_done_callback(lambda _: self._forget(key, span))

    def _forget(self, key: str, span: Any) -> None:
        spans = self._spans[key]
        spans.remove(span)
        if not spans:
            del self._spans[key]

    def _note(self, reads: PendingReads[T], outcome: str) -> None:
        for key in reads:
            for span in self._spans.get(key, ()):
                span.set_attribute(OUTCOME, outcome)

    async def _answer_missing(self, reads: PendingReads[T], epoch: bytes) -> None:
        self._note(reads, "wait")
        await super()._answer_missing(reads, epoch)

    async def _bypass(self, reads: PendingReads[T]) -> None:
        with self._load_span(reads, "bypass"):
            await super()._bypass(reads)

    async def _load(self, reads: PendingReads[T], *args: Any) -> None:
        with self._load_span(reads, "fill"):
            await super()._load(reads, *args)

    def _load_span(self, reads: PendingReads[T], outcome: str) -> AbstractContextManager[object]:
        self._note(reads, outcome)
        recorder = current_recorder()
        first = next((spans[0] for key in reads if (spans := self._spans.get(key))), None)
        if recorder is None or first is None:
            return nullcontext()
        attributes: dict[str, str | int] = {MODEL: self._model, KEYS: len(reads)}
        return recorder.span(f"{outcome} {self._model}", "internal", attributes, parent=first)


class TracedUniqueIndex(TracedReader[IndexEntry[T]], UniqueIndex[T]):
    """An index whose reads are spans."""


def reader_class() -> type[Reader[Any]]:
    """The class of the readers of this process."""
    return Reader if current_recorder() is None else TracedReader


def unique_index_class() -> type[UniqueIndex[Any]]:
    """The class of the indexes of this process."""
    return UniqueIndex if current_recorder() is None else TracedUniqueIndex


def _end(span: Any, future: asyncio.Future[Any]) -> None:
    recorder = current_recorder()
    error = asyncio.CancelledError() if future.cancelled() else future.exception()
    if recorder is not None and error is not None:
        recorder.fail(span, error)
    span.end()
