"""Closing a connection in stages, so that a client receives everything, and one that does not respond leaves no socket
behind.

| stage | what ends it |
|---|---|
| the last bytes are written, such as a close frame | the client's answer, which the owner detects |
| FIN is written, and what arrives is dropped | the FIN of the client |
| the client has yet to acknowledge the last bytes | its acknowledgement; then the socket is closed |

If a client neither ends a stage, nor acknowledges a KiB per second, nor sends a byte of its request for CLOSE_TIMEOUT,
its connection is reset (RST); if it has received everything and only does not close, its socket is closed. A client
that makes progress is reset after MAX_CLOSE_TIMEOUT, plus a second for each KiB that it had yet to acknowledge.
Otherwise the kernel would keep a closed socket with unread bytes in FIN-WAIT-1 for minutes. A FIN cannot be sent
separately over TLS; there the transport is closed when the client sends nothing more, under the same deadlines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sanicbase.edge.sockets import unsent_bytes

__all__ = ["StagedClose"]

CLOSE_TIMEOUT = 5.0  # seconds
MAX_CLOSE_TIMEOUT = 30.0  # seconds
MIN_RATE = 1024  # bytes a second
FIRST_POLL, LAST_POLL = 0.02, 1.0  # seconds between two checks of what the client has acknowledged


class StagedClose:
    """The end of a connection. Its owner calls the methods when the stages are reached, and `stop` when the connection
    is lost. `loop` is the transport's, which may stand still: Sanic closes idle connections between two of its runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, cut: Callable[[], None]) -> None:
        self._transport = transport
        self._cut = cut
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._poll_interval = FIRST_POLL
        self._unsent = 0
        self._has_ended = self._client_has_ended = self._has_received = self._is_lost = False

    def wait(self) -> None:
        """Give the client CLOSE_TIMEOUT for its next stage, starting now."""
        if self._is_lost:
            return
        self._unsent = unsent_bytes(self._transport)
        if self._timer is None:
            self._deadline = self._loop.time() + MAX_CLOSE_TIMEOUT + self._unsent / MIN_RATE
        else:
            self._timer.cancel()
        self._has_received = False
        self._timer = self._loop.call_later(CLOSE_TIMEOUT, self._check)

    def end_writing(self, *, client_sends: bool = False) -> None:
        """Send FIN after everything written so far; further calls do nothing. What the client sends must still be read:
        closing a socket with unread bytes discards what the client has yet to receive. `client_sends` says whether it
        is in the middle of its request."""
        if self._has_ended or self._is_lost:
            return
        self._has_ended = True
        if not self._transport.is_closing():
            try:
                self._write_fin(client_sends)
            except OSError:  # the client has reset the connection
                self._cut()
                return
        self.wait()
        self._close_if_done()

    def received(self) -> None:
        """Note that the client continues to send; the bytes are dropped."""
        self._has_received = True

    def client_has_ended(self) -> None:
        """Note that the client has sent FIN."""
        self._client_has_ended = True
        self._close_if_done()

    def stop(self) -> None:
        """The connection is lost."""
        self._is_lost = True
        for timer in (self._timer, self._poll_timer):
            if timer is not None:
                timer.cancel()

    def _write_fin(self, client_sends: bool) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
        elif not client_sends:
            self._transport.close()

    def _check(self) -> None:
        unsent = unsent_bytes(self._transport)
        has_everything = self._has_ended and not unsent and not self._transport.is_closing()
        # A KiB and not a byte: the kernel of a client that does not read makes room for some more now and then.
        has_read = self._unsent - unsent >= (MIN_RATE * CLOSE_TIMEOUT if unsent else 1)
        if self._loop.time() < self._deadline and (has_read or self._has_received):
            self.wait()
        elif has_everything and not self._has_received:
            self._transport.close()
            self.wait()
        else:
            self._cut()

    def _close_if_done(self) -> None:
        if not (self._has_ended and self._client_has_ended) or self._is_lost or self._transport.is_closing():
            return
        if unsent_bytes(self._transport) == 0:
            self._transport.close()
        else:
            self._poll_timer = self._loop.call_later(self._poll_interval, self._close_if_done)
            self._poll_interval = min(2 * self._poll_interval, LAST_POLL)
