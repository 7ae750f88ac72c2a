"""A connection's requests, one after another: Sanic's `Http` with a reader and a writer of our own.

Sanic's loop, stages and signals are unchanged, and so is everything that an app sees of them.
"""

from __future__ import annotations

from asyncio import CancelledError, Future, sleep
from collections.abc import Awaitable
from time import perf_counter
from typing import Any, NoReturn, Protocol

from sanic.exceptions import PayloadTooLarge, RequestCancelled, SanicException, ServerError
from sanic.http import Http, Stage
from sanic.response import BaseHTTPResponse

from sanicbase.edge.chunks import ChunkedBody
from sanicbase.edge.errors import RefusedRequest
from sanicbase.edge.head import Fields, parse_head
from sanicbase.edge.response import WITHOUT_BODY, DefaultHeaders, ResponseHook, response_head, whole_response

__all__ = ["EdgeHttp"]

# Python 3.11 takes as long to read a member of an enum as to call a function.
IDLE, REQUEST, HANDLER, RESPONSE = Stage.IDLE, Stage.REQUEST, Stage.HANDLER, Stage.RESPONSE
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MAX_UNREAD = 65_536  # bytes of an unread body that are skipped to keep the connection


class Connection(Protocol):
    """What requests need from their connection."""

    access_log: bool
    app: Any
    conn_info: Any
    default_headers: DefaultHeaders | None
    http_events: frozenset[str]
    request_class: Any
    request_handler: Any
    request_max_size: int
    response_hooks: tuple[ResponseHook, ...]
    state: dict[str, int]
    transport: Any

    def resume_reading(self) -> None:
        """Resume reading if it has paused, to notice when the client disconnects."""

    def next_data(self) -> Future[None]:
        """The future that is done when the client has sent more."""

    async def receive_in_time(self) -> None:
        """The same in the middle of a request. If it does not arrive in time, the response is a 408."""

    def begin_request(self) -> None:
        """The first byte of a request has arrived."""

    def body_received(self, size: int) -> None:
        """So many bytes of the request's body were read."""

    def end_requests(self, *, is_unread: bool) -> None:
        """The connection may be closed now. `is_unread` says whether the client may still be sending."""

    @property
    def can_write(self) -> bool:
        """Whether `write` sends at once."""

    def write(self, data: bytes) -> None:
        """Send, when `can_write` is true."""


class EdgeHttp(Http):
    """Called by Sanic for each connection."""

    protocol: Connection  # type: ignore[assignment]  # one of ours
    # What Sanic keeps here has other types than it annotates, or none.
    exception: Any
    request: Any
    request_body: Any
    request_bytes: Any
    request_bytes_left: Any
    request_max_size: Any
    response: Any
    response_func: Any

    __slots__ = ("_chunks", "_events", "fields", "is_reading")

    def __init__(self, protocol: Connection) -> None:
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self._events = protocol.http_events
        self.fields: Fields | None = None
        """The header lines of the last request."""
        self._chunks: ChunkedBody | None = None
        self.is_reading = False
        """Whether the client is waited for, in the middle of its request."""

    async def http1(self) -> None:
        """Called by Sanic: serve the requests of the connection."""
        protocol = self.protocol
        self.init_for_request()  # type: ignore[no-untyped-call]
        while self.keep_alive and self.stage is IDLE:
            self.request = self.response = self.exception = None
            if not self.recv_buffer:
                protocol.request_class._current.set(None)  # noqa: SLF001  (the last request would stay in memory)
                await protocol.next_data()
            elif self.fields is not None:  # a pipelined request; thousands may be in the buffer
                await sleep(0)
            self.stage = REQUEST
            protocol.begin_request()
            self.response_func = self.http1_response_header
            try:
                await self._serve()
                if self.stage is not IDLE:
                    await self._finish_response()
            except CancelledError as exc:
                if protocol.transport is None:  # the server has reset it, because the client did not read
                    return
                await self._answer_cancelled(exc)
            except Exception as exc:
                await self.error_response(exc)
            if self.request_body and self.keep_alive:
                await self._read_over()
            self._end_request()

    def _serve(self) -> Awaitable[None]:
        """Read the head of a request, and have it handled. It is a coroutine only if it must wait for something."""
        raw = self._take_head()
        if raw is None or self._events:
            return self._receive_and_serve(raw)
        self._read_head(raw)
        return self.handle()

    async def _receive_and_serve(self, raw: bytes | None) -> None:
        if raw is None:
            raw = await self._receive_head()
        if "http.lifecycle.read_head" in self._events:
            self.init_for_request()  # type: ignore[no-untyped-call]  # a handler that fails has a response
            await self.dispatch("http.lifecycle.read_head", inline=True, context={"head": raw})
        self._read_head(raw)
        if "http.lifecycle.request" in self._events:
            request, self.request, self.stage = self.request, None, REQUEST  # as in Sanic, if a handler fails
            await self.dispatch("http.lifecycle.request", inline=True, context={"request": request})
            self.request, self.stage = request, HANDLER
        await self.handle()

    def _end_request(self) -> None:
        if not self.keep_alive or self.stage is not IDLE:
            self.protocol.end_requests(is_unread=self._is_unread)
        if self.request:
            self.request.stream = None
            if self.response:
                self.response.stream = None

    async def _answer_cancelled(self, exc: CancelledError) -> None:
        """Answer a request whose task was cancelled: by a deadline, the client's disconnect or a stop."""
        protocol = self.protocol
        lost = protocol.conn_info is None or protocol.conn_info.lost
        error = RequestCancelled() if lost else self.exception or exc
        self.exception, self.keep_alive = None, False
        await self.error_response(error)  # type: ignore[arg-type]  # a CancelledError as well

    def handle(self) -> Awaitable[None]:
        """Have the app handle the request, whose head was read."""
        handled: Awaitable[None] = self.protocol.request_handler(self.request)
        return handled

    async def _finish_response(self) -> None:
        if self.stage is HANDLER and not self.upgrade_websocket:
            raise ServerError("Handler produced no response")
        if self.stage is RESPONSE:
            await self.response.send(end_stream=True)

    async def _read_over(self) -> None:
        """Skip the rest of a short body, so that the next request can follow."""
        self.request_max_size = min(self.request_max_size, self.protocol.request_max_size)
        try:
            while self.request_body:
                await self.read()
        except (SanicException, CancelledError):  # too slow, or malformed: its response has been sent already
            self.keep_alive = False

    def _take_head(self) -> bytes | None:
        """The head, without its last line break; None if it has not arrived, or an empty line is before it."""
        buffer = self.recv_buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > self.HEADER_MAX_SIZE or buffer.startswith(b"\r\n"):
            return None
        raw = bytes(buffer[:end])
        del buffer[: end + 4]
        return raw

    def _read_head(self, raw: bytes) -> None:
        """Make the request of a head, and note what it says about the connection and the body."""
        protocol = self.protocol
        try:
            (method, target, url, version, _), fields = parse_head(raw, self.fields)
        except RefusedRequest:
            self.init_for_request()  # type: ignore[no-untyped-call]  # what the last request has left
            raise
        self.fields = fields
        self.url = target
        self.keep_alive = fields.keep_alive and protocol.app.config["KEEP_ALIVE"]  # stopping workers switch it off
        self.head_only = method == "HEAD"
        self.upgrade_websocket = fields.upgrade == "websocket"
        self.expecting_continue = fields.expects_continue
        self.request_max_size = protocol.request_max_size
        self.request_bytes = self.request_bytes_left = length = fields.length
        self._chunks = self.request_body = None
        if length != 0:
            self._begin_body(length)
        make = protocol.request_class
        self.request = request = make(url, fields.headers, version, method, protocol.transport, protocol.app, raw)
        make._current.set(request)  # noqa: SLF001  (as Sanic does)
        request.stream, request.conn_info = self, protocol.conn_info
        protocol.state["requests_count"] += 1
        self.stage = HANDLER
        if protocol.access_log:
            self.perft0 = perf_counter()

    def _begin_body(self, length: int | None) -> None:
        if length is None:
            self.request_bytes = self.request_bytes_left = 0
            self.request_body, self._chunks = "chunked", ChunkedBody()
        else:
            self.request_body = True

    async def _receive_head(self) -> bytes:
        """Receive until the head is complete, and take it."""
        self.init_for_request()  # type: ignore[no-untyped-call]  # what the last request has left
        buffer = self.recv_buffer
        while True:
            if buffer.startswith(b"\r\n"):  # one empty line is skipped (RFC 9112, 2.2)
                del buffer[:2]
                if buffer[:1] == b"\r":
                    raise RefusedRequest("There is more than one empty line before the request line.")
            if (raw := self._take_head()) is not None:
                return raw
            if len(buffer) > self.HEADER_MAX_SIZE + 4:
                self._refuse_size()
            await self.protocol.receive_in_time()

    def _refuse_size(self) -> NoReturn:
        if b"\r\n" not in self.recv_buffer[: self.HEADER_MAX_SIZE]:
            raise RefusedRequest("The URL is too long.", 414)
        raise RefusedRequest("The headers are too large.", 431)

    async def read(self) -> bytes | None:
        """The next bytes of the body; None at its end. Raises PayloadTooLarge and RefusedRequest."""
        if self.expecting_continue:
            self._check_body_size()
            self.expecting_continue = False
            await self._send(CONTINUE)
        try:
            data = await self._next_data()
        except RefusedRequest:
            self.keep_alive = False
            raise
        if not data:
            self.request_body = None
            self.protocol.resume_reading()
            return None
        self.protocol.body_received(len(data))
        if "http.lifecycle.read_body" in self._events:
            await self.dispatch("http.lifecycle.read_body", inline=True, context={"body": data})
        return data

    async def _next_data(self) -> bytes:
        buffer, chunks = self.recv_buffer, self._chunks
        while True:
            if chunks is not None:
                data = chunks.take(buffer)
                self.request_bytes = chunks.declared
            elif self.request_bytes_left:
                data = bytes(buffer[: self.request_bytes_left]) or None
            else:
                data = b""
            self._check_body_size()
            if data is not None:
                break
            await self.protocol.receive_in_time()
        if chunks is None:
            del buffer[: len(data)]
            self.request_bytes_left -= len(data)
        elif buffer and not chunks.ended:
            await sleep(0)  # more tiny chunks are there
        return data

    def _check_body_size(self) -> None:
        if self.request_bytes > self.request_max_size:
            self.keep_alive = False
            raise PayloadTooLarge("The request is too large.")

    def take_body(self) -> bytes | None:
        """The whole body if it has been received already, otherwise None."""
        left = self.request_bytes_left
        if (
            self._chunks is not None
            or len(self.recv_buffer) < left
            or left > self.request_max_size
            or self.request_body is None
            or "http.lifecycle.read_body" in self._events
        ):
            return None
        body = bytes(self.recv_buffer[:left])
        del self.recv_buffer[:left]
        self.request_bytes_left, self.request_body = 0, None
        self.protocol.resume_reading()
        return body

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Called by Sanic for the first bytes of a response: send its head as well."""
        response = self.response
        for hook in self.protocol.response_hooks:
            hook(self.request, response)
        defaults = self.protocol.default_headers
        lines = b"" if defaults is None else defaults.lines(self.request, response)
        if not data and getattr(response, "body", None):
            data, end_stream = response.body or b"", True
        status = response.status
        if not isinstance(status, int) or status < 200:
            raise RuntimeError(f"Invalid response status {status!r}")
        self.response_size = len(data)
        self._prepare_connection()
        data, end_stream = self._frame(data, end_stream)
        if self.head_only:
            data, self.response_func = b"", self.head_response_ignored
        if self.protocol.access_log:
            self.log_response()  # Sanic's own access log
        await self._send(response_head(response, keep_alive=self.keep_alive, lines=lines) + data)
        self.stage = IDLE if end_stream else RESPONSE

    def _frame(self, data: bytes, end_stream: bool) -> tuple[bytes, bool]:
        """Set the headers that frame the response, and what is called for its next bytes. Returns the first bytes as
        they are written, and whether they are the last ones."""
        headers, size = self.response.headers, len(data)
        is_sized = end_stream or "content-length" in headers
        if not end_stream and size > int(headers.get("content-length", size)):
            raise ServerError("Response was bigger than content-length")
        self.response_func = None
        if is_sized:
            headers.pop("transfer-encoding", None)  # a handler may have copied it from the response to its own request
        if self.response.status in WITHOUT_BODY:
            headers.pop("content-length", None)
            headers.pop("transfer-encoding", None)
            return b"", True
        if self.head_only and "content-length" in headers:
            return data, end_stream
        if end_stream:
            headers["content-length"] = size
        elif is_sized:
            self.response_bytes_left = int(headers["content-length"]) - size
            self.response_func = self.http1_response_normal
        else:
            data = self._begin_stream(data)
        return data, end_stream

    def _begin_stream(self, data: bytes) -> bytes:
        """Begin a response whose length is not known. Returns its first bytes as they are written."""
        headers = self.response.headers
        if self.fields is not None and self.fields.version == "1.0":
            headers.pop("transfer-encoding", None)
            self.keep_alive = False  # the end of the connection is that of the response (RFC 9112, 6.1 and 6.3)
            self.response_func = self._send_unframed
            return data
        headers["transfer-encoding"] = "chunked"
        self.response_func = self.http1_response_chunked
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

    async def _send_unframed(self, data: bytes, end_stream: bool) -> None:
        if data:
            await self._send(data)
        if end_stream:
            self.response_func, self.stage = None, IDLE

    def send_whole(self, response: BaseHTTPResponse) -> bool:
        """Send a response at once, if it has a body and the connection is in an ordinary state; else do nothing.

        Returns whether it was sent.
        """
        protocol, body = self.protocol, response.body
        if (
            not body
            or self.stage is not HANDLER
            or self.head_only
            or response.status in WITHOUT_BODY
            or "transfer-encoding" in response.headers
            or not protocol.can_write
        ):
            return False
        self.response, response.stream = response, self
        request = self.request
        for hook in protocol.response_hooks:
            hook(request, response)
        body = response.body or b""
        defaults = protocol.default_headers
        lines = b"" if defaults is None else defaults.lines(request, response)
        if self.request_body:
            self._prepare_connection()
        self.response_size = len(body)
        self.response_func = None
        if protocol.access_log:
            response.headers["content-length"] = len(body)
            self.log_response()
        protocol.write(whole_response(response, body, keep_alive=self.keep_alive, lines=lines))
        self.stage = IDLE
        return True

    def _prepare_connection(self) -> None:
        """Close the connection after the response if the request has an unread body that may be long."""
        if self.request_body and (self.expecting_continue or not self._skip_received()):
            self.keep_alive = False
        self.expecting_continue = False

    def _skip_received(self) -> bool:
        """Skip what was received of an unread body. Returns whether the rest is short."""
        chunks = self._chunks
        if chunks is None:
            return bool(self.request_bytes_left <= MAX_UNREAD)
        try:
            chunks.take(self.recv_buffer)
        except RefusedRequest:
            return False
        if chunks.declared > MAX_UNREAD:
            return False
        if chunks.ended:
            self.request_body = None
        return chunks.ended

    @property
    def _is_unread(self) -> bool:
        """Whether the client may still send a part of its request, so that closing the socket would reset it."""
        request = self.request
        return bool(self.request_body) or request is None or request.method == "NONE"
