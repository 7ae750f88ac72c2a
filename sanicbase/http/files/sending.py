"""A file as a response: whole, partial or not modified, with the memory of one block."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path

from sanic.exceptions import NotFound
from sanic.response import HTTPResponse

from sanicbase.codes import StatusError
from sanicbase.http.files.conditions import Validators
from sanicbase.http.files.disk import DiskFile
from sanicbase.http.files.media_types import is_active, media_type
from sanicbase.http.files.names import content_disposition
from sanicbase.http.files.ranges import ByteRange, requested_range
from sanicbase.http.request import Request
from sanicbase.http.return_types import Download

__all__ = ["open_regular", "send_download", "send_file"]

NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
BLOCK = 262_144  # bytes that are read at once
PIECE = 65_536  # bytes that are sent at once: a slow client must take one within RESPONSE_TIMEOUT
CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


async def send_download(request: Request, result: Path | Download) -> HTTPResponse | None:
    """Send the file that a view has returned. Raises NotFound when it does not exist: it may have been deleted."""
    download = result if isinstance(result, Download) else Download(result, inline=True)
    name = download.name or download.path.name
    content_type = download.content_type or media_type(name)
    headers = {"Cache-Control": download.cache_control} if download.cache_control else {}
    if isinstance(result, Download):
        headers["Content-Disposition"] = content_disposition(name, inline=download.inline)
        if download.inline and is_active(content_type):
            headers["Content-Security-Policy"] = _policy(request.app.ctx.config.FRAME_ANCESTORS)
    return await send_file(request, lambda: open_regular(download.path), content_type, headers)


def _policy(frame_ancestors: str) -> str:
    """The Content-Security-Policy of a displayed document, which runs no scripts."""
    return f"sandbox; frame-ancestors {frame_ancestors}" if frame_ancestors else "sandbox"


def open_regular(path: Path | str, *, flags: int = 0, directory: int | None = None) -> int:
    """The descriptor of a regular file. Raises OSError, and ENOENT for anything else, such as a directory, a device or
    a pipe without a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | flags, dir_fd=directory)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "it is no regular file", str(path))


async def send_file(
    request: Request, opener: Callable[[], int], content_type: str, headers: Mapping[str, str]
) -> HTTPResponse | None:
    """Send the file that the opener opens, with these headers and our own: a small file as a complete response, which
    is returned, a large one as a stream. Raises NotFound."""
    file = await _opened(opener)
    try:
        return await _respond(request, file, content_type, headers)
    finally:
        file.close()


async def _opened(opener: Callable[[], int]) -> DiskFile:
    try:
        return await DiskFile.open(opener)
    except ValueError as exc:  # a NUL in its name
        raise NotFound("The file does not exist.") from exc
    except OSError as exc:
        if exc.errno in NO_FILE:
            raise NotFound("The file does not exist.") from exc
        raise


async def _respond(
    request: Request, file: DiskFile, content_type: str, given: Mapping[str, str]
) -> HTTPResponse | None:
    size, modified_ns, content = await file.run(_read_small)
    validators = Validators.of(modified_ns, size)
    headers = {**validators.headers, "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", **given}
    if request.method in ("GET", "HEAD"):
        status = validators.status({name: _joined(request, name) for name in CONDITIONS if name in request.headers})
        if status == HTTPStatus.PRECONDITION_FAILED:
            raise StatusError.PRECONDITION_FAILED()
        if status == HTTPStatus.NOT_MODIFIED:
            return HTTPResponse(status=status, headers=headers)
    part = _part(request, validators, size)
    if part is not None:
        headers["Content-Range"] = part.content_range(size)
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    start, count = (0, size) if part is None else (part.start, part.count)
    if content is not None:  # also for HEAD, so that it has the headers of GET
        body = content[start : start + count]
        return HTTPResponse(body, status=status, headers=headers, content_type=content_type)
    headers["Content-Length"] = str(count)
    if request.method == "HEAD":
        return HTTPResponse(status=status, headers=headers, content_type=content_type)
    async with aclosing(_blocks(file, start, count)) as blocks:
        first = await anext(blocks)  # a disk error is a 500 as long as nothing was sent
        response = await request.respond(status=status, headers=headers, content_type=content_type)
        await response.send(first)
        async for block in blocks:
            await response.send(block)
    await response.eof()
    return None


def _read_small(descriptor: int) -> tuple[int, int, bytes | None]:
    """The size and modification time of a file, and its content if it is small."""
    status = os.fstat(descriptor)
    if status.st_size > PIECE:
        return status.st_size, status.st_mtime_ns, None
    content = os.pread(descriptor, status.st_size, 0)
    return len(content), status.st_mtime_ns, content


def _part(request: Request, validators: Validators, size: int) -> ByteRange | None:
    """The requested part of the file; None for the whole file. Raises CodedError (416)."""
    if request.method != "GET" or not validators.allows_range(request.headers.get("if-range")):
        return None
    part = requested_range(_joined(request, "range"), size)
    if part is not None and not part.count:
        error = StatusError.RANGE_NOT_SATISFIABLE()
        error.headers["Content-Range"] = part.content_range(size)
        raise error
    return part


def _joined(request: Request, name: str) -> str:
    """All headers of that name as one list."""
    return ", ".join(request.headers.getall(name, ()))


async def _blocks(file: DiskFile, position: int, count: int) -> AsyncGenerator[bytes, None]:
    """That many bytes of the file, in blocks. Raises EOFError if the file has become shorter. The response is then
    broken off, so that the client notices."""
    end = position + count
    while position < end:
        block = await file.run(os.pread, min(BLOCK, end - position), position)
        if not block:
            raise EOFError(f"The file has become shorter: {end - position} bytes of it were not sent.")
        position += len(block)
        for start in range(0, len(block), PIECE):
            yield block[start : start + PIECE]
