"""Requests as bytes, and the answers to them, for what httpx would not send."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 10.0  # seconds
FRAMING = {"content-length", "transfer-encoding"}
WITHOUT_BODY = (101, 204, 304)


@dataclass(frozen=True)
class Answer:
    """What came back. `whole` is whether the body is as long as its framing says; `reset` is an RST of the server."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    reset: bool = False


def request(
    path: bytes = b"/", *headers: bytes, method: bytes = b"GET", body: bytes = b"", version: bytes = b"1.1"
) -> bytes:
    return b"\r\n".join([b"%b %b HTTP/%b" % (method, path, version), b"Host: x", *headers, b"", body])


def exchange(port: int, sent: bytes) -> Answer:
    """Send the bytes and read one answer, to its end or to that of the connection. Raises TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        got, reset = bytearray(), False
        head_only = sent.startswith(b"HEAD ")
        while not (response := _parsed(bytes(got), head_only=head_only)).whole:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data, reset = b"", True
            if not data:
                ends_with_connection = bool(response.status) and not FRAMING & response.headers.keys()
                whole = ends_with_connection and not reset
                return Answer(response.status, response.headers, response.body, whole, reset)
            got += data
        return response


def leave(port: int, sent: bytes) -> None:
    """Send the bytes and close the connection without waiting for an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(sent)


def _parsed(got: bytes, *, head_only: bool) -> Answer:
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return Answer()
    if head.startswith(b"HTTP/1.1 100 "):
        return _parsed(body, head_only=head_only)
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split()[1])
    if headers.get("transfer-encoding") == "chunked":
        whole = head_only or body.endswith(b"0\r\n\r\n")
    elif "content-length" in headers:
        whole = head_only or len(body) >= int(headers["content-length"])
    else:
        whole = head_only or status in WITHOUT_BODY
    return Answer(status, headers, body, whole)


def has_socket(port: int, client: int) -> bool:
    """Whether the server's side of that connection exists, with bytes that it would still send."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(
        (int(line[1].rpartition(":")[2], 16), int(line[2].rpartition(":")[2], 16)) == (port, client) for line in lines
    )
