"""Compressed messages (RFC 7692): read with a bound on what they are inflated to, and written once for many clients."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame, Opcode

from sanicbase.edge import frames
from sanicbase.edge.deflate import MIN_SIZE
from sanicbase.edge.frames import encode_compressed
from sanicbase.edge.websocket import MessageReader
from sanicbase.ws import WSView, connection
from sanicbase.ws.view import Member, send_to_all
from tests.edge.test_websocket import Event, events_of, refused
from tests.ws.conftest import Serve
from tests.ws.conftest import serve as serve
from tests.ws.frames import CONT, TEXT, frame
from tests.ws.recording import until
from tests.ws.test_view import blueprint_of

TAIL = b"\x00\x00\xff\xff"
RSV1 = 0x40
MAX_SIZE = 100_000


def deflated(payload: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(flush)).removesuffix(TAIL)


def compressed(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """The first frame of a compressed message."""
    return frame(opcode | RSV1, data, fin=fin)


def read(*stream: bytes) -> list[Event]:
    return list(events_of(MessageReader(MAX_SIZE, inflates=True), b"".join(stream)))


HELLO = deflated(b"Hello")

READ = {
    "7.2.3.1 one block": ([compressed(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")], [("TEXT", b"Hello")]),
    "7.2.3.1 fragments": (
        [compressed(TEXT, b"\xf2\x48\xcd", fin=False), frame(CONT, b"\xc9\xc9\x07\x00")],
        [("TEXT", b"Hello")],
    ),
    "7.2.3.3 no compression": ([compressed(TEXT, b"\x00\x05\x00\xfa\xffHello\x00")], [("TEXT", b"Hello")]),
    "7.2.3.4 a final block": ([compressed(TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")], [("TEXT", b"Hello")]),
    "7.2.3.5 two blocks": (
        [compressed(TEXT, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")],
        [("TEXT", b"Hello")],
    ),
    "7.2.3.6 an empty message": ([compressed(TEXT, b"\x00")], [("TEXT", b"")]),
    "6 messages that are not compressed": ([frame(TEXT, b"Hello"), compressed(TEXT, HELLO)], [("TEXT", b"Hello")] * 2),
    "as large as it may be": ([compressed(2, deflated(bytes(MAX_SIZE)))], [("BINARY", bytes(MAX_SIZE))]),
    "as large, and not compressible": (
        [compressed(2, deflated(noise := random.Random(1).randbytes(MAX_SIZE)))],
        [("BINARY", noise)],
    ),
}

REFUSED = {
    "6.1 a continuation that is compressed": ([compressed(TEXT, HELLO, fin=False), compressed(CONT, b"")], 1002),
    "6.1 a ping that is compressed": ([compressed(9, b"")], 1002),
    "another reserved bit as well": ([frame(TEXT | RSV1 | 0x20, HELLO)], 1002),
    "data that is not deflated": ([compressed(TEXT, b"\xff\xff\xff")], 1002),
    "a reference to an earlier message": (
        [compressed(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"), compressed(TEXT, b"\xf2\x00\x11\x00\x00")],
        1002,
    ),
    "final blocks without end": ([compressed(TEXT, b"\x03\x00" * 1000)], 1002),
    "final blocks without end, each in a fragment": (
        [compressed(TEXT, b"\x03\x00", fin=False), frame(CONT, b"\x03\x00", fin=False)],
        1002,
    ),
    "text that is not UTF-8": ([compressed(TEXT, deflated(b"\xff"))], 1007),
    "a byte too much": ([compressed(2, deflated(bytes(MAX_SIZE + 1)))], 1009),
    "a byte too much in fragments": (
        [compressed(2, deflated(bytes(MAX_SIZE + 1))[:20], fin=False), frame(CONT, deflated(bytes(MAX_SIZE + 1))[20:])],
        1009,
    ),
}


@pytest.mark.parametrize(("stream", "expected"), READ.values(), ids=READ.keys())
def test_allowed_compressed_frames_are_read(stream: list[bytes], expected: list[Event]) -> None:
    assert read(*stream) == expected


@pytest.mark.parametrize(("stream", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_forbidden_compressed_frames_are_refused(stream: list[bytes], code: int) -> None:
    assert read(*stream)[-1] == refused(code)


def test_without_the_extension_its_bit_is_refused() -> None:
    assert list(events_of(MessageReader(MAX_SIZE), compressed(TEXT, HELLO))) == [refused(1002)]


def test_a_bomb_is_not_inflated() -> None:
    bomb = compressed(2, deflated(bytes(50_000_000)))
    assert len(bomb) < MAX_SIZE
    tracemalloc.start()
    try:
        assert read(bomb) == [refused(1009)]
        assert tracemalloc.get_traced_memory()[1] < 10 * MAX_SIZE
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab€", max_size=600), max_size=5), st.integers(9, 15), st.integers(1, 300))
def test_messages_round_trip_between_client_and_server(messages: list[str], bits: int, step: int) -> None:
    client = PerMessageDeflate(
        remote_no_context_takeover=True,
        local_no_context_takeover=True,
        remote_max_window_bits=bits,
        local_max_window_bits=bits,
    )
    stream = b"".join(
        Frame(Opcode.TEXT, message.encode()).serialize(mask=True, extensions=[client]) for message in messages
    )
    reader = MessageReader(MAX_SIZE, inflates=True)
    events = [e for start in range(0, len(stream), step) for e in events_of(reader, stream[start : start + step])]
    assert events == [("TEXT", message.encode()) for message in messages]

    for message in messages:
        written = encode_compressed(message, bits)
        start = 2 if written[1] < 126 else 4
        received = client.decode(Frame(Opcode.TEXT, written[start:], rsv1=bool(written[0] & RSV1)))
        assert bytes(received.data).decode() == message
        assert len(written) - start <= len(message.encode())
        assert not written[0] & RSV1 or len(message.encode()) >= MIN_SIZE


class EchoWS(WSView, public=True):
    async def on_message(self, message: str | bytes) -> None:
        await self.send(message)


OFFERS = {
    "what browsers offer": ClientPerMessageDeflateFactory(client_max_window_bits=True),
    "a small window": ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=9),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_messages_are_compressed_for_a_client_that_offers_it(
    serve: Serve, offer: ClientPerMessageDeflateFactory
) -> None:
    async with (
        serve(blueprint_of(EchoWS), WEBSOCKET_DEFLATE=True) as port,
        connect(f"ws://127.0.0.1:{port}/ws", compression=None, extensions=[offer]) as client,
    ):
        (extension,) = client.protocol.extensions
        assert isinstance(extension, PerMessageDeflate)
        assert extension.remote_no_context_takeover
        assert extension.local_no_context_takeover
        for message in ("a", "a" * 5000, b"b" * 70_000, "", "é" * 200):
            await client.send(message)
            assert await client.recv() == message


@pytest.mark.parametrize(
    ("deflate", "offers"),
    [
        (False, [ClientPerMessageDeflateFactory()]),
        (True, []),
        (True, [ClientPerMessageDeflateFactory(False, False, 8)]),
    ],
    ids=["not set", "not offered", "offered with a window that zlib cannot write for"],
)
async def test_nothing_is_compressed_unless_both_can(
    serve: Serve, deflate: bool, offers: list[ClientPerMessageDeflateFactory]
) -> None:
    async with (
        serve(blueprint_of(EchoWS), WEBSOCKET_DEFLATE=deflate) as port,
        connect(f"ws://127.0.0.1:{port}/ws", compression=None, extensions=offers or None) as client,
    ):
        assert client.protocol.extensions == []
        await client.send("a" * 5000)
        assert await client.recv() == "a" * 5000


async def test_a_broadcast_is_compressed_once_for_each_window(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    def counting(message: str | bytes, bits: int) -> bytes:
        encoded.append(bits)
        return encode_compressed(message, bits)

    class MemberWS(WSView, public=True):
        async def on_connect(self) -> None:
            members.append(self)

    members: list[Member] = []
    monkeypatch.setattr(connection, "encode_compressed", counting)
    small = ClientPerMessageDeflateFactory(server_max_window_bits=10)
    async with serve(blueprint_of(MemberWS), WEBSOCKET_DEFLATE=True) as port:
        url = f"ws://127.0.0.1:{port}/ws"
        async with (
            connect(url) as first,
            connect(url) as second,
            connect(url, compression=None, extensions=[small]) as third,
            connect(url, compression=None) as plain,
        ):
            await until(lambda: len(members) == 4)
            send_to_all(members, "x" * 1000)
            for client in (first, second, third, plain):
                assert await client.recv() == "x" * 1000
    assert sorted(encoded) == [10, 15]
    assert len(frames.encode_compressed("x" * 1000, 15)) < 50
