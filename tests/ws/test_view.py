"""What a WSView sees of its connection, whatever the client does."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sanic import Blueprint
from sanic.exceptions import Forbidden, Unauthorized
from sanic.request import Request
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sanicbase.errors import SanicBaseError
from sanicbase.ws import WSView, view
from tests.ws.conftest import Serve
from tests.ws.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame, raw_client
from tests.ws.recording import RecordingWS, recording_view, until


def blueprint_of(cls: type[WSView], uri: str = "/ws") -> Blueprint:
    blueprint = Blueprint("ws")
    cls.attach(blueprint, uri)
    return blueprint


HELLO = frame(TEXT, b"hello")

ENDS = {
    "a close": ([close(1000)], 1000, 1000),
    "a close with a code of the client's": ([close(4321)], 4321, 4321),
    "a close without a code": ([close(None)], 1005, 1005),
    "invalid UTF-8": ([frame(TEXT, b"\xff\xfe")], 1007, 1007),
    "UTF-8 that ends too early": ([frame(TEXT, "é".encode()[:1])], 1007, 1007),
    "a surrogate": ([frame(TEXT, b"\xed\xa0\x80")], 1007, 1007),
    "invalid UTF-8 in fragments": ([frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\x28")], 1007, 1007),
    "something valid after invalid UTF-8": ([frame(TEXT, b"\xff"), HELLO], 1007, 1007),
    "a message too big": ([frame(BINARY, bytes(100_001))], 1009, 1009),
    "fragments too big together": ([frame(BINARY, bytes(60_000), fin=False), frame(CONT, bytes(60_000))], 1009, 1009),
    "a frame without a mask": ([frame(TEXT, b"x", masked=False)], 1002, 1002),
    "an unknown opcode": ([frame(3, b"x")], 1002, 1002),
    "a continuation of nothing": ([frame(CONT, b"x")], 1002, 1002),
    "a close in the midst of a message": ([frame(TEXT, b"x", fin=False), close(1000)], 1000, 1000),
    "a close with a code that nobody may send": ([close(1005)], 1002, 1002),
    "a view that fails": ([frame(TEXT, b"fail"), HELLO], 1011, 1011),
    "a view that closes": ([frame(TEXT, b"close"), HELLO], 4000, 4000),
}


@pytest.mark.parametrize(("frames", "answered", "close_code"), ENDS.values(), ids=ENDS.keys())
async def test_every_end_is_reported_once_to_both_sides(
    serve: Serve, frames: list[bytes], answered: int, close_code: int
) -> None:
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(HELLO, *frames)
        async with asyncio.timeout(5):
            assert await client.read_close() == answered
        client.cut()
        await until(lambda: recorder.log[-1:] == [close_code])
    assert recorder.log.count(close_code) == 1
    assert recorder.log[:2] == ["connect", "hello"]
    assert recorder.log.count("hello") == 1
    assert [task for task, of in view._views.items() if isinstance(of, recorder)] == []


async def test_messages_before_the_close_are_handled(serve: Serve) -> None:
    recorder = recording_view()
    recorder.pause = 0.002
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(*(frame(TEXT, b"%d" % number) for number in range(100)), close(1000))
        assert await client.read_close() == 1000
        await until(lambda: recorder.log[-1:] == [1000])
    assert recorder.log == ["connect", *map(str, range(100)), 1000]


async def test_messages_before_a_lost_connection_are_handled(serve: Serve) -> None:
    recorder = recording_view()
    recorder.pause = 0.01
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(*(frame(TEXT, b"%d" % number) for number in range(10)))
        await until(lambda: "0" in recorder.log)
        client.cut()
        await until(lambda: recorder.log[-1:] == [1006])
    assert recorder.log == ["connect", *map(str, range(10)), 1006]


async def test_an_echo_to_a_client_that_is_gone_is_no_error(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    recorder = recording_view()

    class EchoWS(recorder):  # type: ignore[valid-type, misc]
        async def on_message(self, message: str | bytes) -> None:
            await self.send(message)
            await super().on_message(message)

    async with serve(blueprint_of(EchoWS)) as port, raw_client(port, "/ws") as client:
        client.write(*[HELLO] * 50, close(1000))
        client.cut()
        await until(lambda: recorder.log and recorder.log[-1] in (1000, 1006))
    messages = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record for record in messages if record.name in ("sanicbase.ws", "asyncio", "sanic.error")] == []


async def test_a_view_that_does_not_finish_is_ended(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "FINISH_TIMEOUT", 0.1)
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(frame(TEXT, b"hang"), close(1000))
        assert await client.read_close() == 1000
        await until(lambda: recorder.log[-1:] == [1000])
    assert recorder.log == ["connect", 1000]


async def test_a_client_that_breaks_the_protocol_instead_of_closing_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanicbase.edge.closing.CLOSE_TIMEOUT", 3600)
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.write(frame(TEXT, b"close"))
        assert await client.read_frame() == (CLOSE, b"\x0f\xa0as told")
        client.write(frame(TEXT, b"x", masked=False), HELLO)
        async with asyncio.timeout(5):
            assert await client.reader.read() == b""
    assert recorder.log == ["connect", "close", 4000]


async def test_a_failing_on_connect_is_logged_and_calls_on_disconnect(serve: Serve) -> None:
    ended: list[int] = []

    class FailingWS(WSView, public=True):
        async def on_connect(self) -> None:
            raise RuntimeError("not today")

        async def on_disconnect(self, code: int) -> None:
            ended.append(code)
            raise RuntimeError("nor now")

    async with serve(blueprint_of(FailingWS)) as port:
        async with connect(f"ws://127.0.0.1:{port}/ws") as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        await until(lambda: ended)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, ended) == (1011, [1011])


async def test_a_stop_is_announced_and_waited_for(serve: Serve) -> None:
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port:
        clients = [await connect(f"ws://127.0.0.1:{port}/ws") for _ in range(30)]
        await until(lambda: recorder.log.count("connect") == 30)
        recorder.pause = 0.05
        await clients[0].send("the last one")
        await until(lambda: recorder.instances[0]._connection)
    # The server has stopped: whatever the views do is done.
    assert recorder.log.count(1001) == 30
    for client in clients:
        await client.wait_closed()
        assert client.close_code == 1001
    assert "the last one" in recorder.log


async def test_a_stop_does_not_wait_for_ever(serve: Serve) -> None:
    recorder = recording_view()
    async with serve(blueprint_of(recorder), GRACEFUL_SHUTDOWN_TIMEOUT=0.2) as port:
        client = await connect(f"ws://127.0.0.1:{port}/ws")
        await client.send("hang")
        await until(lambda: recorder.instances)
    assert recorder.log == ["connect", 1001]
    await client.wait_closed()
    assert client.close_code == 1001


async def test_a_client_that_does_not_read_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanicbase.ws.connection.SEND_TIMEOUT", 0.2)
    recorder = recording_view()

    class PouringWS(recorder):  # type: ignore[valid-type, misc]
        async def on_message(self, message: str | bytes) -> None:
            while not self.closed:
                await self.send(bytes(100_000))

    async with serve(blueprint_of(PouringWS)) as port, raw_client(port, "/ws") as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.write(frame(TEXT, b"pour"))
        await until(lambda: recorder.log[-1:] == [1006])
    assert recorder.log.count(1006) == 1


async def test_the_queue_of_a_client_is_bounded(serve: Serve) -> None:
    recorder = recording_view()
    async with serve(blueprint_of(recorder)) as port, raw_client(port, "/ws") as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: recorder.instances)
        (instance,) = recorder.instances
        sent = 0
        while not instance.closed:
            instance.send_nowait(bytes(50_000))
            sent += 50_000
            await asyncio.sleep(0)
            assert sent < 50_000_000
        await until(lambda: recorder.log[-1:] == [1006])


async def test_a_view_that_is_behind_makes_the_client_wait(serve: Serve) -> None:
    recorder = recording_view()
    brief = {"GRACEFUL_SHUTDOWN_TIMEOUT": 0.2}
    async with serve(blueprint_of(recorder), **brief) as port, raw_client(port, "/ws") as client:
        client.write(frame(TEXT, b"hang"))
        await until(lambda: recorder.instances)
        connection = recorder.instances[0]._connection
        client.writer.transport.set_write_buffer_limits(0)

        async def flood() -> None:
            while True:
                client.write(frame(BINARY, bytes(50_000)))
                await asyncio.wait_for(client.writer.drain(), 0.5)

        with pytest.raises(TimeoutError):  # nobody reads any more
            await flood()
        assert connection._queued_bytes < 1_000_000
        client.cut()


async def test_a_silent_client_is_given_up_and_a_quiet_one_is_not(serve: Serve) -> None:
    recorder = recording_view()
    pings = {"WEBSOCKET_PING_INTERVAL": 0.1, "WEBSOCKET_PING_TIMEOUT": 0.3}
    async with (
        serve(blueprint_of(recorder), **pings) as port,
        connect(f"ws://127.0.0.1:{port}/ws") as quiet,
        raw_client(port, "/ws") as silent,
    ):
        assert (await silent.read_frame())[0] == PING
        assert await silent.read_close() == 1011
        silent.cut()
        await until(lambda: 1011 in recorder.log)
        await quiet.send("still here")
        await until(lambda: "still here" in recorder.log)


Piece = tuple[int, bytes, bool]
"""A frame: its opcode, its data, whether it is the last of its message."""


@st.composite
def cut_messages(draw: st.DrawFn) -> tuple[list[str | bytes], list[Piece]]:
    """Messages, and the frames of them in fragments, with pings between the fragments."""
    messages: list[str | bytes] = draw(st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200)), max_size=8))
    pieces: list[Piece] = []
    for message in messages:
        raw = message.encode() if isinstance(message, str) else message
        cuts = sorted([0, *draw(st.lists(st.integers(0, len(raw)), max_size=3)), len(raw)])
        opcode = TEXT if isinstance(message, str) else BINARY
        for number, (start, end) in enumerate(pairwise(cuts)):
            pieces.append((CONT if number else opcode, raw[start:end], number == len(cuts) - 2))
            if draw(st.booleans()):
                pieces.append((PING, b"?", True))
    return messages, pieces


def test_a_message_arrives_as_it_was_sent_however_it_is_cut(serve: Serve) -> None:
    """Fragments, pings between them, and any cuts in the stream of bytes."""
    recorder = recording_view()

    async def echoed(port: int, pieces: list[Piece], size: int) -> list[int]:
        stream = b"".join(frame(opcode, data, fin=fin) for opcode, data, fin in pieces) + close(1000)
        async with raw_client(port, "/ws") as client:
            for start in range(0, len(stream), size):
                client.write(stream[start : start + size])
                await asyncio.sleep(0)
            responses = [(await client.read_frame())[0] for piece in pieces if piece[0] == PING]
            assert await client.read_close() == 1000
        await until(lambda: recorder.log[-1:] == [1000])
        return responses

    with asyncio.Runner() as runner:
        server = serve(blueprint_of(recorder))
        port = runner.run(server.__aenter__())

        @settings(max_examples=100, deadline=None)
        @given(cut_messages(), st.integers(1, 400))
        def arrives(cut: tuple[list[str | bytes], list[Piece]], size: int) -> None:
            messages, pieces = cut
            recorder.log.clear()
            responses = runner.run(echoed(port, pieces, size))
            assert responses == [PONG] * len(responses)
            assert recorder.log == ["connect", *messages, 1000]

        try:
            arrives()
        finally:
            runner.run(server.__aexit__(None, None, None))


class GuardedWS(WSView):
    """Refuses two ways."""

    door: str
    number: int

    @classmethod
    async def admit(cls, request: Request) -> None:
        if request.match_info["door"] == "locked":
            raise Unauthorized("No key.", scheme="Bearer")
        if request.match_info["door"] == "forbidden":
            raise Forbidden("Not for you.")

    async def on_connect(self) -> None:
        await self.send(f"{self.door} {self.number + 1} {self.request.args.get('q')}")


@pytest.mark.parametrize(("door", "status"), [("locked", 401), ("forbidden", 403)])
async def test_a_refused_client_gets_an_http_response(serve: Serve, door: str, status: int) -> None:
    async with serve(blueprint_of(GuardedWS, "/doors/<door:str>/<number:int>")) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/doors/{door}/7")
    assert refused.value.response.status_code == status


async def test_the_parameters_of_the_path_are_attributes(serve: Serve) -> None:
    guarded = blueprint_of(GuardedWS, "/doors/<door:str>/<number:int>")
    async with serve(guarded) as port, connect(f"ws://127.0.0.1:{port}/doors/open/7?q=x") as client:
        assert await client.recv() == "open 8 x"


class UserWS(WSView):
    """For users, who send their names as tokens."""

    user: str

    @classmethod
    async def admit(cls, request: Request) -> str | None:
        return request.token

    async def on_connect(self) -> None:
        await self.send(f"{self.user} {self.request.ctx.user}")


class GuestWS(UserWS):
    """For everybody."""

    user: str | None  # type: ignore[assignment]


async def test_the_user_of_admit_is_an_attribute(serve: Serve) -> None:
    headers = {"Authorization": "Bearer ann"}
    async with (
        serve(blueprint_of(UserWS)) as port,
        connect(f"ws://127.0.0.1:{port}/ws", additional_headers=headers) as client,
    ):
        assert await client.recv() == "ann ann"


async def test_an_anonymous_client_is_refused_where_a_user_is_required(serve: Serve) -> None:
    async with serve(blueprint_of(UserWS)) as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/ws")
    assert refused.value.response.status_code == 401
    async with serve(blueprint_of(GuestWS)) as port, connect(f"ws://127.0.0.1:{port}/ws") as client:
        assert await client.recv() == "None None"


def test_a_user_needs_an_admit_that_returns_one() -> None:
    class NobodyWS(WSView):
        user: str

        @classmethod
        async def admit(cls, request: Request) -> None: ...

    with pytest.raises(SanicBaseError, match="NobodyWS takes a user, but its admit returns none"):
        NobodyWS.attach(Blueprint("ws"), "/ws")


@pytest.mark.parametrize("name", ["request", "send", "close", "_connection"])
def test_a_parameter_may_not_hide_what_a_view_has(name: str) -> None:
    with pytest.raises(SanicBaseError, match="another name"):
        RecordingWS.attach(Blueprint("ws"), f"/<{name}:str>")
