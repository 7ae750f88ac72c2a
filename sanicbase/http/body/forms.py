"""The fields and files of a form, read from its bytes within limits (RFC 7578, WHATWG URL)."""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import decode_rfc2231
from typing import TYPE_CHECKING, NoReturn, Protocol
from unicodedata import normalize
from urllib.parse import unquote

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from sanic.exceptions import PayloadTooLarge
from sanic.request import File

from sanicbase.config import Config
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters, UnreadableBody, printable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # which exists for type checkers only

__all__ = ["Fields", "Files", "MultipartReader", "Part", "read_multipart", "read_url_encoded"]

Fields = dict[str, list[str]]
Files = dict[str, list[File]]

UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
MAX_STRAY = 1000  # percent signs without a valid escape: each costs as much as a hundred bytes
EXTENDED_NAME = re.compile(r"""filename\*\s*=\s*"?([^";]+)""", re.IGNORECASE)
PLAIN = "text/plain"


def read_url_encoded(body: bytes, config: Config) -> Fields:
    """The fields of application/x-www-form-urlencoded. Raises InvalidParameters and UnreadableBody."""
    if body.count(b"&") >= config.FORM_MAX_FIELDS:
        _refuse("too_many_fields", limit=config.FORM_MAX_FIELDS)
    text, stray = STRAY_PERCENT.subn(b"%25", body, count=MAX_STRAY)
    if stray == MAX_STRAY:
        _unreadable()
    fields: Fields = {}
    for pair in text.replace(b"+", b" ").split(b"&"):
        if len(pair) > config.FORM_MAX_FIELD_SIZE:
            _refuse("field_too_large", limit=config.FORM_MAX_FIELD_SIZE)
        if pair:
            name, _, value = pair.partition(b"=")
            fields.setdefault(_unquoted(name), []).append(_unquoted(value))
    return fields


def read_multipart(body: bytes, boundary: bytes, config: Config) -> tuple[Fields, Files]:
    """The fields and files of multipart/form-data. Raises InvalidParameters and UnreadableBody."""
    files = _FilesInMemory(config.FORM_MAX_FILES)
    reader = MultipartReader(boundary, config, files)
    reader.write(body)
    reader.finish()
    return reader.fields, files.files


class FileSink(Protocol):
    """Receives the files of a form. It refuses a file by raising InvalidParameters."""

    def begin(self, part: Part) -> None:
        """The headers of a file were read."""

    def add(self, data: bytes) -> None:
        """A piece of the file was read."""

    def end(self) -> None:
        """The file is complete."""


class MultipartReader:
    """Reads a form while it arrives: keeps its fields, within limits, and passes its files on."""

    def __init__(self, boundary: bytes, config: Config, sink: FileSink) -> None:
        """Raises UnreadableBody for an invalid boundary."""
        self._form = _Form(config, sink)
        self._limits = (config.FORM_MAX_PART_HEADERS, config.FORM_MAX_PART_HEADER_SIZE)
        limit, size = self._limits
        with self._refusals():
            self._parser = MultipartParser(
                boundary, self._form.callbacks(), max_header_count=limit, max_header_size=size
            )

    @property
    def fields(self) -> Fields:
        """The fields read so far."""
        return self._form.fields

    @property
    def complete(self) -> bool:
        """Whether the end of the form was read. Further bytes are ignored."""
        return self._form.complete

    def write(self, data: bytes) -> None:
        """Parse more bytes. Raises InvalidParameters and UnreadableBody."""
        with self._refusals():
            self._parser.write(data)

    def finish(self) -> None:
        """Check that the form is complete. Raises UnreadableBody."""
        with self._refusals():
            self._parser.finalize()
        if not self.complete:
            _unreadable()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except FormParserError as exc:
            if str(exc).startswith("Maximum header"):
                limit, size = self._limits
                _refuse("form_headers_too_large", limit=limit, size=size)
            raise UnreadableBody([FieldError.of("form", "form_invalid")]) from exc


@dataclass
class Part:
    """A part whose headers and content are being read; the content of a file is passed on."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    content: bytearray = field(default_factory=bytearray)
    name: str = ""
    file_name: str | None = None
    kind: str = PLAIN


@dataclass
class _Form:
    """The fields that the parser has read. Its methods are the parser's events."""

    config: Config
    sink: FileSink
    fields: Fields = field(default_factory=dict)
    complete: bool = False
    _part: Part = field(default_factory=Part)
    _field_count: int = 0
    _field_bytes: int = 0

    def callbacks(self) -> MultipartCallbacks:
        """The methods by the events of the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._part.header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._part.value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._part = Part()

    def _end_header(self) -> None:
        part = self._part
        part.headers[bytes(part.header).lower()] = bytes(part.value).strip()
        part.header, part.value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        part = self._part
        disposition = part.headers.get(b"content-disposition", b"")
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in options:
            _unreadable()
        part.name = _text(options[b"name"])
        part.file_name = _file_name(options, disposition)
        part.kind, charset = _content_type(part.headers.get(b"content-type", b""))
        if part.file_name is None and charset not in UTF_8:
            raise UnreadableBody([FieldError.of(f"form.{printable(part.name)}", "form_charset")])
        if part.file_name is not None:
            self.sink.begin(part)
            return
        self._field_count += 1
        if self._field_count > self.config.FORM_MAX_FIELDS:
            _refuse("too_many_fields", limit=self.config.FORM_MAX_FIELDS)

    def _add(self, data: bytes, start: int, end: int) -> None:
        part, limit = self._part, self.config.FORM_MAX_FIELD_SIZE
        if part.file_name is not None:
            self.sink.add(data[start:end])
            return
        part.content += memoryview(data)[start:end]
        self._field_bytes += end - start
        if len(part.content) > limit:
            _refuse("field_too_large", limit=limit)
        if self._field_bytes > self.config.REQUEST_MAX_SIZE:
            raise PayloadTooLarge("The request is too large.")

    def _end(self) -> None:
        part = self._part
        if part.file_name is None:
            self.fields.setdefault(part.name, []).append(_text(part.content))
        else:
            self.sink.end()

    def _complete(self) -> None:
        self.complete = True


class _FilesInMemory:
    """Keeps the files of a form in memory, up to a maximum number."""

    def __init__(self, limit: int) -> None:
        self.files: Files = {}
        self._limit = limit
        self._count = 0
        self._part = Part()

    def begin(self, part: Part) -> None:
        self._part = part
        self._count += 1
        if self._count > self._limit:
            _refuse("too_many_files", limit=self._limit)

    def add(self, data: bytes) -> None:
        self._part.content += data

    def end(self) -> None:
        part = self._part
        if part.file_name or part.content:  # else no file was chosen
            file = File(part.kind, bytes(part.content), part.file_name or "")
            self.files.setdefault(part.name, []).append(file)


def _file_name(options: dict[bytes, bytes], disposition: bytes) -> str | None:
    """The name of a part's file; None if it is not a file. In NFC, because Apple's systems send NFD.

    RFC 7578 forbids `filename*`, which older clients send all the same.
    """
    if b"filename" in options:
        name = _text(options[b"filename"])
    elif extended := EXTENDED_NAME.search(_text(disposition)):
        name = unquote(decode_rfc2231(extended[1])[2] or "", errors="replace")
    else:
        return None
    if "\0" in name:
        raise InvalidParameters([FieldError.of("files", "nul_character")])
    return normalize("NFC", name)


def _content_type(header: bytes) -> tuple[str, str]:
    kind, options = parse_options_header(header)
    return _text(kind) or PLAIN, _text(options.get(b"charset", b"utf-8")).lower()


def _unquoted(text: bytes) -> str:
    """Decode %XX at the speed of C; urllib creates an object for each escape."""
    return _text(a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"=")))


def _text(encoded: bytes | bytearray) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        raise UnreadableBody([FieldError.of("form", "form_encoding")]) from None


def _unreadable() -> NoReturn:
    raise UnreadableBody([FieldError.of("form", "form_invalid")])


def _refuse(code: str, **context: int) -> NoReturn:
    raise InvalidParameters([FieldError.of("form", code, **context)])
