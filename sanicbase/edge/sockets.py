"""What a transport does not offer for its socket: how much a client has not received, and how to discard it.

The buffer of a transport is empty as soon as the kernel has taken the bytes, which may be megabytes that the client
never reads. A closed socket stays in FIN-WAIT-1 with these bytes until the kernel gives up, after minutes.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress

__all__ = ["discard_unsent_on_close", "has_failed", "peer_address", "reset", "unsent_bytes", "uses_tls"]

_NO_LINGER = struct.pack("ii", 1, 0)  # on, zero seconds: closing discards what is unsent, and sends RST


def unsent_bytes(transport: asyncio.Transport) -> int:
    """The bytes that were written and that the client's host has not acknowledged; a FIN counts as one."""
    return transport.get_write_buffer_size() + _held_by_kernel(transport)


def has_failed(transport: asyncio.Transport) -> bool:
    """Whether the kernel knows that the connection is lost, such as by the client's RST. A transport that does not read
    detects it with its next write only."""
    bound = transport.get_extra_info("socket")
    return bound is None or bound.fileno() < 0 or bound.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def peer_address(transport: asyncio.BaseTransport | None) -> str:
    """The address at the other end, as text; empty for a Unix socket, and for a connection that is lost."""
    peer = None if transport is None else transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


def uses_tls(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the connection is TLS; False for one that is lost."""
    return transport is not None and transport.get_extra_info("ssl_object") is not None


def reset(transport: asyncio.Transport) -> None:
    """Reset the connection (RST), and discard what is unsent."""
    discard_unsent_on_close(transport)
    transport.abort()


def discard_unsent_on_close(transport: asyncio.BaseTransport) -> None:
    """Let the closing of the socket discard what is unsent, and send RST."""
    bound = transport.get_extra_info("socket")
    if bound is not None and bound.fileno() >= 0:
        with suppress(OSError):  # the client has reset it already
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _held_by_kernel(transport: asyncio.Transport) -> int:
    bound = transport.get_extra_info("socket")
    if bound is None or bound.fileno() < 0:
        return 0
    try:
        held = fcntl.ioctl(bound.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(held, sys.byteorder)
