"""The reader of WebSocket frames: by the letter of RFC 6455, and compared with the one of the websockets package."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from sanicbase.edge import websocket
from sanicbase.edge.websocket import ControlFrame, Fragment, MessageReader, ProtocolViolation
from tests.ws.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame

MAX_SIZE = 300
Event = tuple[str, bytes]
"""The name of an opcode, and a payload; or "refused", and the close code."""


def events_of(reader: MessageReader, data: bytes) -> Iterator[Event]:
    """What the reader finds in more bytes, up to a close frame or a refusal."""
    reader.feed(data)
    try:
        while (event := reader.read()) is not None:
            if isinstance(event, ControlFrame):
                yield event.opcode.name, event.payload
            elif not isinstance(event, Fragment):
                yield ("TEXT", event.encode()) if isinstance(event, str) else ("BINARY", event)
    except ProtocolViolation as exc:
        yield "refused", b"%d" % exc.code


def read(*frames: bytes, max_size: int = MAX_SIZE) -> list[Event]:
    return list(events_of(MessageReader(max_size), b"".join(frames)))


def refused(code: int) -> Event:
    return "refused", b"%d" % code


LONG = bytes(126)

READ = {
    "5.6 text": ([frame(TEXT, "é".encode())], [("TEXT", "é".encode())]),
    "5.6 binary": ([frame(BINARY, b"\xff")], [("BINARY", b"\xff")]),
    "5.2 an empty message": ([frame(TEXT), frame(BINARY)], [("TEXT", b""), ("BINARY", b"")]),
    "5.2 a length of 16 bits": ([frame(BINARY, LONG)], [("BINARY", LONG)]),
    "5.4 fragments": (
        [frame(TEXT, b"a", fin=False), frame(CONT, b"b", fin=False), frame(CONT, b"c")],
        [("TEXT", b"abc")],
    ),
    "5.4 empty fragments": ([frame(BINARY, fin=False), frame(CONT, fin=False), frame(CONT)], [("BINARY", b"")]),
    "5.4 a character in two fragments": (
        [frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\xa9")],
        [("TEXT", b"\xc3\xa9")],
    ),
    "5.4 a ping between fragments": (
        [frame(TEXT, b"a", fin=False), frame(PING, b"?"), frame(CONT, b"b")],
        [("PING", b"?"), ("TEXT", b"ab")],
    ),
    "5.5.1 a close frame between fragments": ([frame(TEXT, b"a", fin=False), close()], [("CLOSE", b"\x03\xe8")]),
    "5.5.1 a close frame without a code": ([close(None)], [("CLOSE", b"")]),
    "5.5.3 a pong that was not asked for": ([frame(PONG, b"!")], [("PONG", b"!")]),
    "7.4 the codes of applications": ([close(3000), close(4999)], [("CLOSE", b"\x0b\xb8"), ("CLOSE", b"\x13\x87")]),
    "as large as it may be": ([frame(BINARY, bytes(MAX_SIZE))], [("BINARY", bytes(MAX_SIZE))]),
}  # fmt: skip

REFUSED = {
    **{f"5.2 reserved bit {bit:#x}": ([bytes((0x81 | bit, 0x80))], 1002) for bit in (0x40, 0x20, 0x10)},
    **{f"5.2 opcode {code}": ([bytes((0x80 | code, 0x80))], 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "5.1 no mask": ([b"\x81\x00"], 1002),
    "5.1 no mask on a control frame": ([b"\x89\x00"], 1002),
    "5.2 a length of 16 bits that 7 can hold": ([b"\x82\xfe\0\x7d"], 1002),
    "5.2 a length of 64 bits that 16 can hold": ([b"\x82\xff\0\0\0\0\0\0\xff\xff"], 1002),
    "5.2 a length with its highest bit": ([b"\x82\xff\x80\0\0\0\0\0\0\0"], 1002),
    "5.4 a continuation of nothing": ([b"\x80\x80"], 1002),
    "5.4 a continuation of a message that is whole": ([frame(TEXT, b"a"), b"\x80\x80"], 1002),
    "5.4 a message within a message": ([frame(TEXT, b"a", fin=False), b"\x81\x80"], 1002),
    "5.5 a fragmented ping": ([b"\x09\x80"], 1002),
    "5.5 a ping of more than 125 bytes": ([b"\x89\xfe"], 1002),
    "5.5.1 a close frame of one byte": ([frame(CLOSE, b"\x03")], 1002),
    "5.5.1 a reason that is not UTF-8": ([frame(CLOSE, b"\x03\xe8\xff")], 1007),
    **{f"7.4 the code {code}": ([close(code)], 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)},
    "8.1 a wrong byte": ([frame(TEXT, b"a\xff")], 1007),
    "8.1 a surrogate": ([frame(TEXT, b"\xed\xa0\x80")], 1007),
    "8.1 above the last character": ([frame(TEXT, b"\xf4\x90\x80\x80")[:8]], 1007),
    "8.1 a character that is cut off": ([frame(TEXT, b"\xc3", fin=False), frame(CONT)], 1007),
    "8.1 a wrong byte before the frame is whole": ([frame(TEXT, b"a\xff" + bytes(20))[:8]], 1007),
    "8.1 a wrong byte before the message is whole": ([frame(TEXT, b"\xf4\x90", fin=False)], 1007),
    "10.4 a frame too large, by its head": ([b"\x82\xfe" + struct.pack("!H", MAX_SIZE + 1)], 1009),
    "10.4 fragments too large together": ([frame(BINARY, bytes(200), fin=False), b"\x80\xe5"], 1009),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "expected"), READ.values(), ids=READ.keys())
def test_allowed_frames_are_read(frames: list[bytes], expected: list[Event]) -> None:
    assert read(*frames) == expected


@pytest.mark.parametrize(("frames", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_forbidden_frames_are_refused_at_their_first_wrong_byte(frames: list[bytes], code: int) -> None:
    stream = b"".join(frames)
    assert read(stream)[-1] == refused(code)
    if not stream.endswith(frame(CONT)):  # whose lack of a payload is what is wrong
        assert refused(code) not in read(stream[:-1])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("step", [1000, 65_536, 10**6])
def test_a_message_of_any_size_is_read_in_any_steps(size: int, step: int) -> None:
    text = ("aé€😀" * size)[:size]
    stream = frame(TEXT, text.encode()) + frame(BINARY, text.encode()) + frame(PING)
    reader = MessageReader(4 * size)
    events = [e for start in range(0, len(stream), step) for e in events_of(reader, stream[start : start + step])]
    assert events == [("TEXT", text.encode()), ("BINARY", text.encode()), ("PING", b"")]


def test_a_message_may_not_consist_of_any_number_of_fragments() -> None:
    most = websocket.MIN_FRAGMENTS + MAX_SIZE // websocket.BYTES_PER_FRAGMENT
    first, empty, last = frame(TEXT, b"a", fin=False), frame(CONT, fin=False), frame(CONT, b"b")
    assert read(first, *[empty] * (most - 2), last) == [("TEXT", b"ab")]
    assert read(first, *[empty] * (most - 1), last) == [refused(1008)]
    assert read(*[first, *[empty] * (most - 2), last] * 3) == [("TEXT", b"ab")] * 3


def test_a_message_may_not_be_interrupted_by_any_number_of_control_frames() -> None:
    first, last, pings = frame(TEXT, b"a", fin=False), frame(CONT, b"b"), [frame(PING)] * websocket.MAX_CONTROLS
    assert read(first, *pings, last) == [*[("PING", b"")] * len(pings), ("TEXT", b"ab")]
    assert read(first, *pings, frame(PONG), last)[-1] == refused(1008)
    assert read(*pings, *pings) == [("PING", b"")] * 2 * len(pings)
    assert read(*[first, *pings, last] * 2)[-1] == ("TEXT", b"ab")


def test_fragments_of_a_byte_take_no_more_memory_than_their_message() -> None:
    reader = MessageReader(100_000)
    reader.feed(frame(TEXT, b"a", fin=False))
    for _ in range(2000):
        reader.feed(frame(CONT, b"b", fin=False))
        assert isinstance(reader.read(), Fragment)
    assert len(reader._message) == 2000
    assert len(reader._buffer) < 20


# The comparison with the websockets package.

DIFFERENCES = {
    "control frame within a message": "it counts its bytes as the message's",
    "not UTF-8": "its protocol leaves the encoding of texts to its callers",
    "close within a message": "it answers 1002; the closing handshake may begin at any time (5.5.1, Autobahn 7.1.5)",
    "longer form of the length": "it accepts what 5.2 forbids",
    "wrong and too large": "it looks at the size first: 1009 instead of 1002",
    "wrong code and reason": "it decodes the reason first: 1007 instead of 1002",
}
"""Where the two answer otherwise, and why. It also waits for the whole frame before it refuses most of them."""


@dataclass
class Sent:
    """A frame of a client's, right or wrong."""

    first: int
    payload: bytes
    masked: bool = True
    width: int | None = None  # bytes of the extended length, None for the shortest form
    claimed: int | None = None  # another length than that of the payload

    @property
    def length(self) -> int:
        return len(self.payload) if self.claimed is None else self.claimed

    @property
    def bytes(self) -> bytes:
        width = self.width if self.width is not None else 0 if self.length < 126 else 2 if self.length < 65536 else 8
        mask_bit = 0x80 if self.masked else 0
        marker = {0: self.length, 2: 126, 8: 127}[width]
        head = bytes((self.first, mask_bit | marker)) + (self.length.to_bytes(width, "big") if width else b"")
        mask = b"\x1a\x2b\x3c\x4d" if self.masked else b""
        key = mask * (len(self.payload) // 4 + 1) if mask else bytes(len(self.payload))
        return head + mask + bytes(a ^ b for a, b in zip(self.payload, key, strict=False))


PAYLOADS = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", bytes(125), bytes(126), bytes(200), bytes(301)]),
    st.binary(max_size=20),
)
CLOSES = st.one_of(st.just(b""), st.integers(0, 5100).map(lambda code: struct.pack("!H", code)), PAYLOADS)
WHOLE_OR_FIRST = st.sampled_from([0x81, 0x82, 0x01, 0x01, 0x02, 0x89, 0x8A])
NEXT = st.sampled_from([0x00, 0x00, 0x80, 0x80, 0x89, 0x8A, 0x88])


def rarely(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 39)) == 39


@st.composite
def streams(draw: st.DrawFn) -> list[Sent]:
    """Frames of which most are right, each for the message that it is in."""
    frames: list[Sent] = []
    in_message = False
    for _ in range(draw(st.integers(1, 12))):
        first = draw(NEXT if in_message else WHOLE_OR_FIRST)
        if rarely(draw):
            first = draw(st.one_of(st.just(0x88), st.integers(0, 255)))
        sent = Sent(first, draw(CLOSES if first == 0x88 else PAYLOADS))
        if rarely(draw):
            sent.masked = False
        if rarely(draw):
            sent.width = 8 if len(sent.payload) >= 126 or draw(st.booleans()) else 2
        if rarely(draw):
            sent.claimed = draw(st.sampled_from([301, 65_535, 65_536, 2**40, 2**63, 2**64 - 1]))
            sent.width = 8 if sent.claimed >= 65_536 else None
        frames.append(sent)
        if not first & 0x08:
            in_message = not first & 0x80
    return frames


class Reference:
    """What the websockets package makes of the same bytes."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol(max_size=MAX_SIZE, state=State.OPEN)
        self._message: list[Frame] = []

    def read(self, data: bytes) -> list[Event]:
        self._protocol.receive_data(data)
        events: list[Event] = []
        for received in self._protocol.events_received():
            assert isinstance(received, Frame)
            if received.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._message.append(received)
                if received.fin:
                    payload = b"".join(bytes(part.data) for part in self._message)
                    events.append((self._message[0].opcode.name, payload))
                    self._message.clear()
            elif self._protocol.parser_exc is None or received.opcode is not Opcode.CLOSE:
                events.append((received.opcode.name, bytes(received.data)))
        if self._protocol.parser_exc is not None:
            assert self._protocol.close_sent is not None
            events.append(refused(int(self._protocol.close_sent.code)))
        return events

    @property
    def in_message(self) -> bool:
        return bool(self._message)


def difference(sent: Sent, ours: list[Event], theirs: list[Event], *, in_message: bool) -> str | None:
    """The entry of DIFFERENCES that explains it."""
    is_close = sent.first == 0x88
    if ours == [refused(1007)] and not (is_close and theirs == [refused(1007)]):
        return "not UTF-8"
    if is_close and in_message and ours[0][0] == "CLOSE" and theirs == [refused(1002)]:
        return "close within a message"
    if sent.first & 0x08 and in_message and theirs == [refused(1009)]:
        return "control frame within a message"
    if ours == [refused(1002)] and theirs != [refused(1002)]:
        shortest = 0 if sent.length < 126 else 2 if sent.length < 65536 else 8
        if sent.width is not None and sent.width > shortest:
            return "longer form of the length"
        if is_close and theirs == [refused(1007)]:
            return "wrong code and reason"
        if theirs == [refused(1009)] or sent.claimed is not None:
            return "wrong and too large"
    return None


@settings(max_examples=600, deadline=None)
@given(streams())
def test_it_reads_and_refuses_as_the_websockets_package_does(frames: list[Sent]) -> None:
    reader, reference = MessageReader(MAX_SIZE), Reference()
    for sent in frames:
        in_message = reference.in_message
        ours, theirs = list(events_of(reader, sent.bytes)), reference.read(sent.bytes)
        if ours != theirs:
            explained = difference(sent, ours, theirs, in_message=in_message)
            assert explained in DIFFERENCES, (sent, ours, theirs)
            event(explained)
            return
        if ours and (ours[-1][0] in ("refused", "CLOSE")):
            event(f"both: {ours[-1][0]} {ours[-1][1]!r}" if ours[-1][0] == "refused" else "both: closed")
            return
        if sent.claimed is not None and sent.claimed != len(sent.payload):
            return  # the rest is its payload
    event("both: read")


@settings(max_examples=300, deadline=None)
@given(streams(), st.lists(st.integers(0, 400), max_size=12))
def test_it_finds_the_same_however_the_stream_is_cut(frames: list[Sent], cuts: list[int]) -> None:
    stream = b"".join(sent.bytes for sent in frames)
    reader = MessageReader(MAX_SIZE)
    read_events: list[Event] = []
    for start, end in pairwise(sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})):
        read_events += events_of(reader, stream[start:end])
        if read_events and read_events[-1][0] == "refused":
            break
    assert read_events == read(stream)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_make_it_fail_otherwise(stream: bytes, step: int) -> None:
    reader = MessageReader(MAX_SIZE)
    for start in range(0, len(stream), step):
        for name, payload in events_of(reader, stream[start : start + step]):
            if name == "refused":
                assert payload in (b"1002", b"1007", b"1008", b"1009")
                return
