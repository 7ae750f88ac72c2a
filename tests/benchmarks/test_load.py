"""The load generator counts what a server answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from benchmarks.load.__main__ import carry_out
from benchmarks.load.cpu import tree, tree_cpu_seconds
from benchmarks.load.http import answer_length
from benchmarks.load.job import Job, Report
from benchmarks.load.websocket import frame_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@asynccontextmanager
async def answering(*parts: bytes) -> AsyncIterator[int]:
    """A server that answers each request by these parts, each of which is sent by itself."""

    tasks: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                for part in parts:
                    writer.write(part)
                    await asyncio.sleep(0)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*tasks)


async def load(port: int, status: int = 200) -> Report:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return await carry_out(Job("http", port, os.getpid(), 3, 0.1, 0.05, (request,), status))


@pytest.mark.parametrize("parts", [(OK,), (OK[:20], OK[20:]), (CHUNKED[:-5], CHUNKED[-5:])])
async def test_whole_answers_are_counted(parts: tuple[bytes, ...]) -> None:
    async with answering(*parts) as port:
        report = await load(port)
    assert report.answers > 0
    assert report.errors == 0
    assert 0 < report.p50 <= report.p99


async def test_another_status_ends_the_run() -> None:
    async with answering(NOT_FOUND) as port:
        with pytest.raises(SystemExit, match="404 Not Found"):
            await load(port)


async def test_the_status_is_that_of_the_job() -> None:
    async with answering(NOT_FOUND) as port:
        assert (await load(port, 404)).errors == 0


@pytest.mark.parametrize(
    ("buffer", "length"),
    [(OK, len(OK)), (OK + OK, len(OK)), (OK[:20], None), (CHUNKED[:-1], None), (CHUNKED, len(CHUNKED))],
)
def test_where_an_answer_ends(buffer: bytes, length: int | None) -> None:
    assert answer_length(buffer) == length


def test_a_frame_is_masked_text() -> None:
    assert frame_of(b"hi") == b"\x81\x82\0\0\0\0hi"


def test_the_cpu_time_of_a_tree_grows_with_its_work() -> None:
    before = tree_cpu_seconds(os.getpid())
    sum(range(1_000_000))
    assert tree_cpu_seconds(os.getpid()) > before
    assert os.getpid() in tree(os.getpid())


def test_a_job_survives_its_pipe() -> None:
    job = Job("echo", 1, 2, 3, 0.5, 0.1, (b"/echo", b"\xff"))
    assert Job.from_json(job.to_json()) == job
