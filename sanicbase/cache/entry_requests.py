"""The requests for entries: all reads in one iteration of the event loop are one MGET, even for different classes.

A request has at most BATCH keys, and fewer for large entries. At most MAX_IN_FLIGHT requests are sent before the first
one is answered, because Redis answers the requests of one connection in order. The others wait for their turn.

| what happens | who is affected |
|---|---|
| a caller is cancelled | nobody else: the request is answered, and the caller's future ignored |
| one entry is corrupt | its own callers, for whom it is loaded |
| a request fails, or is not answered in time | everybody who waits on the connection reads the database |
| the event loop ends the service | callers get NotOpenError from their reader |
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Any, Protocol

from sanicbase.cache.batches import BATCH
from sanicbase.cache.pending_reads import Reads
from sanicbase.rc.multiplexed import pack

__all__ = ["EntryReader", "EntryRequests", "EpochEnded"]

MAX_IN_FLIGHT = 4  # requests


class EpochEnded(Exception):
    """A connection was dropped although Redis responds, because its epoch differs from that of this process."""


class EntryReader(Protocol):
    """A reader of the entries of one class."""

    generation_name: str
    """The key of the class's generation."""
    entry_prefix: str
    """The prefix of the key in the name of an entry."""

    def take_pending(self) -> Iterator[tuple[Reads[Any], float]]:
        """The reads of this iteration in parts, each with its share of a request, at most 1."""

    def answer(self, reads: Reads[Any], raws: list[Any], epoch: bytes, generation: bytes | None) -> None:
        """Answer the reads with the entries in Redis, or with a load."""

    def bypass(self, reads: Reads[Any]) -> None:
        """Answer the reads with a load, without Redis."""


class _Request:
    """One MGET: the epoch, and for each reader the generation and the entries."""

    __slots__ = ("epoch", "names", "parts", "sent", "share")

    def __init__(self, epoch: bytes, epoch_name: str) -> None:
        self.epoch = epoch
        self.names = [epoch_name]
        self.parts: list[tuple[EntryReader, Reads[Any]]] = []
        self.share = 0.0
        self.sent = 0.0

    def add(self, reader: EntryReader, reads: Reads[Any], share: float) -> None:
        self.names.append(reader.generation_name)
        self.names += map(reader.entry_prefix.__add__, reads)
        self.parts.append((reader, reads))
        self.share += share

    def answer(self, values: list[Any]) -> None:
        start = 1
        for reader, reads in self.parts:
            end = start + 1 + len(reads)
            reader.answer(reads, values[start + 1 : end], self.epoch, values[start])
            start = end

    def bypass(self) -> None:
        for reader, reads in self.parts:
            reader.bypass(reads)


class EntryRequests:
    """Collects the readers that have reads in this iteration of the event loop, and sends their requests at its end.

    `current_epoch` returns the epoch whose entries are valid, or None while none are. `send` sends a command, and calls
    its second argument with the response, or with None when Redis is unavailable. `distrust` is called when Redis has
    another epoch. `proved` is called before a response is used, with the time of the request (by the monotonic clock)
    and the epoch in the response.
    """

    def __init__(
        self,
        epoch_name: str,
        current_epoch: Callable[[], bytes | None],
        send: Callable[[bytes, Callable[[Any], None]], None],
        distrust: Callable[[], None],
        proved: Callable[[float, bytes], None] | None = None,
    ) -> None:
        self._epoch_name = epoch_name
        self._current_epoch = current_epoch
        self._send = send
        self._distrust = distrust
        self._proved = proved
        self._loop = asyncio.get_running_loop()
        self._readers: list[EntryReader] = []
        self._waiting: deque[_Request] = deque()
        self._in_flight = 0

    def schedule(self, reader: EntryReader) -> None:
        """Take the reader's pending reads at the end of this iteration."""
        if not self._readers:
            self._loop.call_soon(self._send_pending)
        self._readers.append(reader)

    def _send_pending(self) -> None:
        readers, self._readers = self._readers, []
        epoch = self._current_epoch()
        if epoch is None:
            for reader in readers:
                for reads, _ in reader.take_pending():
                    reader.bypass(reads)
            return
        request: _Request | None = None
        for reader in readers:
            for reads, share in reader.take_pending():
                if request is None or request.share + share > 1 or len(request.names) + len(reads) > BATCH + 2:
                    request = _Request(epoch, self._epoch_name)
                    self._waiting.append(request)
                request.add(reader, reads, share)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._in_flight < MAX_IN_FLIGHT:
            request = self._waiting.popleft()
            if self._current_epoch() is None:  # since it was queued
                request.bypass()
                continue
            self._in_flight += 1
            request.sent = monotonic()
            self._send(pack("MGET", *request.names), partial(self._end, request))

    def _end(self, request: _Request, values: list[Any] | None) -> None:
        self._in_flight -= 1
        if values is not None and values[0] == request.epoch:
            if self._proved is not None:
                self._proved(request.sent, request.epoch)
            request.answer(values)
        else:
            if values is not None:
                self._distrust()
            request.bypass()
        if self._waiting:
            self._send_waiting()
