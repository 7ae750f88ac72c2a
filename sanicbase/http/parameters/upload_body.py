"""A form whose files are written to disk while they arrive, and checked from the first bytes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError
from sanic.http import Http

from sanicbase.config import Config
from sanicbase.http.body.content_type import MULTIPART, check_content_type
from sanicbase.http.body.forms import MultipartReader, Part
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters, TooLarge, UnreadableBody, printable
from sanicbase.http.files import sniffing
from sanicbase.http.files.names import safe_name
from sanicbase.http.files.temporary import upload_dir
from sanicbase.http.files.upload import FileUpload
from sanicbase.http.parameters.form_body import FormPart
from sanicbase.http.parameters.params import Upload
from sanicbase.http.parameters.text_parameters import validate_texts
from sanicbase.http.request import Request

__all__ = ["UploadBody", "UploadField"]

BLOCK = 262_144  # bytes that are written at once
MAX_EPILOGUE = 65_536  # bytes after the end of the form


@dataclass(frozen=True)
class UploadField:
    """The files of one name in the form: their limits, and how many there may be."""

    upload: Upload
    many: bool

    @property
    def max_files(self) -> int:
        """The maximum number of files."""
        return self.upload.max_files if self.many else 1


@dataclass(frozen=True)
class UploadBody:
    """The uploads of a view by their names in the form, and its `form`, if it has fields as well.

    `adapter` has a field for each upload, with its default and its number of files.
    """

    form: FormPart | None
    fields: Mapping[str, UploadField]
    adapter: TypeAdapter[Any]
    content_types = (MULTIPART,)

    @property
    def max_size(self) -> int:
        """The maximum total size of the files, in bytes."""
        return sum(field.upload.max_size * field.max_files for field in self.fields.values())

    @property
    def encoding(self) -> dict[str, Any]:
        """The types of each upload, as OpenAPI has them."""
        return {
            name: {"contentType": ", ".join(field.upload.types)}
            for name, field in self.fields.items()
            if field.upload.types is not None
        }

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        """Receive the form, and yield the arguments. At the end, however it comes, files that were not saved are
        deleted.

        Raises InvalidParameters, TooLarge, UnreadableBody and UnsupportedContentType, before the rest is read.
        """
        config: Config = request.app.ctx.config
        sink = _Receiver(self.fields, upload_dir(config.UPLOAD_DIR, config.project_dir()), config.FORM_MAX_FILES)
        try:
            fields = await self._read(request, config, sink)
            yield self._arguments(config, fields, sink.received)
        finally:
            sink.close()

    async def _read(self, request: Request, config: Config, sink: _Receiver) -> Mapping[str, list[str]]:
        stream = request.stream
        assert isinstance(stream, Http)  # noqa: S101
        if not stream.request_body:
            return {}
        _, parameters = check_content_type(request, self.content_types)
        limit = self.max_size + config.REQUEST_MAX_SIZE
        if int(request.headers.get("content-length", 0)) > limit:
            raise TooLarge([FieldError.of("form", "form_too_large", limit=limit)])
        reader = MultipartReader(parameters.get("boundary", "").encode(), config, sink)
        read = epilogue = 0
        async for data in stream:
            read += len(data)
            epilogue += len(data) if reader.complete else 0
            if read > limit:
                raise TooLarge([FieldError.of("form", "form_too_large", limit=limit)])
            if epilogue > MAX_EPILOGUE:
                raise UnreadableBody([FieldError.of("form", "form_invalid")])
            reader.write(data)
            await sink.flush()
        reader.finish()
        return reader.fields

    def _arguments(
        self, config: Config, fields: Mapping[str, list[str]], received: Mapping[str, list[FileUpload]]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        errors: list[FieldError] = []
        try:
            if self.form is not None:
                texts = "".join(value for values in fields.values() for value in values).encode()
                self.form.type.check_texts(texts, config.JSON_MAX_ITEMS, "form")
                arguments["form"] = validate_texts(
                    self.form.type, "form", fields, self.form.repeatable, self.form.known
                )
        except InvalidParameters as exc:
            errors += exc.errors
        values = {name: files if self.fields[name].many else files[0] for name, files in received.items()}
        try:
            arguments.update(vars(self.adapter.validate_python(values)))
        except ValidationError as exc:
            errors += InvalidParameters.of(exc, "files").errors
        if errors:
            raise InvalidParameters(errors)
        return arguments


class _Receiver:
    """Receives the files of a form. The reader of the form calls its methods for one block of the body; `flush` then
    writes the block to the disk."""

    def __init__(self, fields: Mapping[str, UploadField], folder: Path, max_parts: int) -> None:
        self.received: dict[str, list[FileUpload]] = {}
        self._fields = fields
        self._folder = folder
        self._max_parts = max_parts
        self._parts = 0
        self._arriving: list[_Arriving] = []

    def begin(self, part: Part) -> None:
        path, field = f"files.{printable(part.name)}", self._fields.get(part.name)
        self._parts += 1
        if self._parts > self._max_parts:
            raise InvalidParameters([FieldError.of(path, "too_many_files", limit=self._max_parts)])
        if field is None:
            raise InvalidParameters([FieldError.of(path, "file_unexpected")])
        self._arriving.append(_Arriving(path, part, field, self._folder))
        if part.file_name:
            self._accept(self._arriving[-1])

    def add(self, data: bytes) -> None:
        if not self._arriving[-1].accepted:
            self._accept(self._arriving[-1])
        self._arriving[-1].add(data)

    def end(self) -> None:
        self._arriving[-1].ended = True

    def _accept(self, arriving: _Arriving) -> None:
        """Accept a part as a file. If the user chose none, a browser sends an empty part without a name."""
        files = self.received.setdefault(arriving.part.name, [])
        limit, many = arriving.field.max_files, arriving.field.many
        if len(files) == limit:
            error = FieldError.of(arriving.path, "too_many_files", limit=limit) if many else None
            raise InvalidParameters([error or FieldError.of(arriving.path, "repeated")])
        arriving.accept()
        files.append(arriving.file)

    async def flush(self) -> None:
        """Write what has arrived, if it is large enough."""
        for arriving in self._arriving:
            await arriving.flush()
        self._arriving = [arriving for arriving in self._arriving if not arriving.ended]

    def close(self) -> None:
        """Discard all files."""
        for file in (file for files in self.received.values() for file in files):
            file.close()


class _Arriving:
    """A file that is arriving. Nothing is written until its type is known."""

    def __init__(self, path: str, part: Part, field: UploadField, folder: Path) -> None:
        self.path, self.part, self.field = path, part, field
        self.file = FileUpload(safe_name(part.file_name or ""), sniffing.canonical(part.kind), folder)
        self.accepted = self.ended = False
        self._pending: list[bytes] = []
        self._pending_size = self._size = 0
        self._checked = field.upload.types is None

    def accept(self) -> None:
        """Accept the part as a file. Raises InvalidParameters if the client declares a type that is not accepted."""
        self.accepted = True
        if not self._checked and self.file.type not in map(sniffing.canonical, self.field.upload.types or ()):
            self._refuse_type()

    def add(self, data: bytes) -> None:
        """Keep a piece until it is written. Raises TooLarge."""
        self._size += len(data)
        if self._size > self.field.upload.max_size:
            raise TooLarge([FieldError.of(self.path, "file_too_large", limit=self.field.upload.max_size)])
        self._pending.append(data)
        self._pending_size += len(data)

    async def flush(self) -> None:
        """Check the type once the first bytes have arrived, and write what is large enough. Raises
        InvalidParameters."""
        if not self.accepted:
            return
        if not self._checked and (self.ended or self._pending_size >= sniffing.HEAD):
            if not sniffing.fits(self.file.type, b"".join(self._pending)[: sniffing.HEAD]):
                self._refuse_type()
            self._checked = True
        if self._pending_size >= BLOCK or (self.ended and self._pending_size):
            data, self._pending, self._pending_size = b"".join(self._pending), [], 0
            await self.file.write(data)

    def _refuse_type(self) -> NoReturn:
        expected = ", ".join(sorted(self.field.upload.types or ()))
        raise InvalidParameters([FieldError.of(self.path, "file_type", expected=expected)])
