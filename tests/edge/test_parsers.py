"""The grammar of heads and chunks, beside two other parsers: what it accepts they read in the same way."""

from __future__ import annotations

from itertools import pairwise

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.edge.chunks import ChunkedBody
from sanicbase.edge.errors import RefusedRequest
from sanicbase.edge.head import Fields, RequestLine, parse_head
from tests.edge.smuggling import ACCEPTED, REFUSED

SEEDS = [sent for sent, _ in ACCEPTED] + [sent for sent, _ in REFUSED if len(sent) < 500]
PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\x00", b"\x0b", b",", b";", b"0", b"5", b"x", b"\xff", b"\x85"),
        *(b"#", b"?", b"chunked", b"HTTP/1.0", b"HTTP/1.1", b"Host: x\r\n", b"Host: y\r\n", b"Content-Length: 5\r\n"),
        *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
        *(b"Connection: close\r\n", b"Upgrade: h2c\r\n"),
    ]
)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A request of the tables with some bytes removed, doubled or put in."""
    sent = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(sent)))
        end = min(len(sent), start + draw(st.integers(0, 6)))
        sent = sent[:start] + draw(PIECES | st.just(sent[start:end] * 2) | st.just(b"")) + sent[end:]
    return sent


class Listener:
    """What llhttp reports of the first request."""

    def __init__(self) -> None:
        self.target = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, target: bytes) -> None:
        if not self.complete:  # else it is that of the next request
            self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


Head = tuple[RequestLine, Fields]


def ours(sent: bytes) -> tuple[Head, bytes] | None:
    """The head and the body that the edge reads; None for what it refuses, or would wait for."""
    head, end, rest = sent.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        return None
    try:
        parsed = parse_head(head)
        length = parsed[1].length
        if length is not None:
            return (parsed, rest[:length]) if len(rest) >= length else None
        return _chunked(parsed, bytearray(rest))
    except RefusedRequest:
        return None


def _chunked(head: Head, buffer: bytearray) -> tuple[Head, bytes] | None:
    chunks, body = ChunkedBody(), b""
    while data := chunks.take(buffer):
        body += data
    return (head, body) if chunks.ended else None


@given(altered())
def test_h11_reads_what_is_accepted_in_the_same_way(sent: bytes) -> None:
    if (read := ours(sent)) is None:
        return
    (line, fields), body = read
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent.removeprefix(b"\r\n"))
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target.decode(), request.http_version.decode()) == (
        line.method,
        line.target,
        line.version,
    )
    assert [(name, _latin(value).lower()) for name, value in fields.headers.items()] == [
        (name.decode(), value.decode("latin-1").lower()) for name, value in request.headers
    ]
    theirs = b""
    while isinstance(event := connection.next_event(), h11.Data):
        theirs += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert theirs == body


@given(altered())
def test_llhttp_reads_what_is_accepted_in_the_same_way(sent: bytes) -> None:
    if (read := ours(sent)) is None:
        return
    (line, fields), body = read
    if fields.upgrade or line.method in ("PURGE", "QUERY"):
        return
    listener = Listener()
    parser = httptools.HttpRequestParser(listener)
    one = sent.removeprefix(b"\r\n")
    try:
        parser.feed_data(one)
    except httptools.HttpParserError:
        assert listener.complete  # it is what follows that it refuses
    assert listener.complete
    assert (listener.target.decode(), listener.body) == (line.target, body)
    count = len(fields.headers)  # it reports the trailers as well
    assert [(name.decode(), value.decode("latin-1")) for name, value in listener.headers[:count]] == [
        (name, _latin(value)) for name, value in fields.headers.items()
    ]


@given(
    first=altered(),
    line=st.sampled_from([b"GET / HTTP/1.0", b"GET / HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://x/ HTTP/1.1"]),
    more=st.sampled_from([b"", b"", b"\r\nA: b"]),
)
def test_a_head_says_the_same_whatever_was_read_before_it(first: bytes, line: bytes, more: bytes) -> None:
    first = first.removeprefix(b"\r\n").partition(b"\r\n\r\n")[0]
    second = line + b"\r\n" + first.partition(b"\r\n")[2] + more
    try:
        _, last = parse_head(first)
    except RefusedRequest:
        return
    assert _read(second, last) == _read(second, None)


def _read(head: bytes, last: Fields | None) -> tuple[object, ...]:
    try:
        return parse_head(head, last)
    except RefusedRequest as exc:
        return (exc.status_code, str(exc))


def test_llhttp_accepts_what_the_edge_refuses() -> None:
    assert len([sent for sent, _ in REFUSED if _llhttp_accepts(sent)]) > 20


@given(sent=altered(), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_chunks_are_the_same_no_matter_how_they_arrive(sent: bytes, cuts: list[int]) -> None:
    _, _, body = sent.partition(b"\r\n\r\n")
    assert _pieces(body, []) == _pieces(body, cuts)


@given(st.binary(max_size=300))
def test_no_bytes_are_read_otherwise_than_refused(sent: bytes) -> None:
    status, method = 0, sent.partition(b" ")[0].decode(errors="replace")
    try:
        method = parse_head(sent)[0].method
    except RefusedRequest as exc:
        status = exc.status_code
    assert status in (0, 400, 417, 431, 501, 505)
    assert method == sent.partition(b" ")[0].decode(errors="replace")
    _, ended, refused = _pieces(sent, [])
    assert not (ended and refused)


@pytest.mark.parametrize("unit", [b"a", b" ", b"X: y\r\n", b"\r\n", b"\t", b":", b"(", b"x: \r\n"])
def test_a_long_head_costs_one_look_at_each_byte(unit: bytes) -> None:
    """The quantifiers never go back, so a text that does not fit is refused as fast as one that does."""
    with pytest.raises(RefusedRequest):
        parse_head(b"GET / HTTP/1.1\r\n" + unit * (1_000_000 // len(unit)))


def _llhttp_accepts(sent: bytes) -> bool:
    listener = Listener()
    try:
        httptools.HttpRequestParser(listener).feed_data(sent)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return False
    return listener.complete


def _pieces(body: bytes, cuts: list[int]) -> tuple[bytes, bool, bool]:
    """The body, whether it ended, and whether it was refused, when it arrives in these pieces."""
    chunks, buffer, read = ChunkedBody(), bytearray(), b""
    positions = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    try:
        for start, end in pairwise(positions):
            buffer += body[start:end]
            while data := chunks.take(buffer):
                read += data
    except RefusedRequest:
        return read, chunks.ended, True
    return read, chunks.ended, False


def _latin(value: str) -> str:
    return value.encode(errors="surrogateescape").decode("latin-1")
