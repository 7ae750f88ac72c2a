"""A form, and the files in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from sanic.request import File

from sanicbase.http.body.content_type import MULTIPART, URL_ENCODED, check_content_type
from sanicbase.http.body.forms import read_multipart, read_url_encoded
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters, printable
from sanicbase.http.parameters.text_parameters import validate_texts
from sanicbase.http.request import Request
from sanicbase.http.validation.bounded_type import BoundedType

__all__ = ["MULTIPART", "URL_ENCODED", "FormBody", "FormPart", "UploadedFile"]


def _file(value: object) -> File:
    if not isinstance(value, File):
        raise ValueError("this is not a file")
    return value


UploadedFile = Annotated[File, PlainValidator(_file), WithJsonSchema({"type": "string", "format": "binary"})]
"""A file of a form, with `name`, `type` and `body` as the client sent them: trust none of them."""


@dataclass(frozen=True)
class FormPart:
    """The fields or the files of a form, as one model."""

    type: BoundedType
    repeatable: frozenset[str]
    known: frozenset[str] | None

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The type, for the document."""
        return self.type.adapter


@dataclass(frozen=True)
class FormBody:
    """The `form` and the `files` of a view; with files the form must be multipart."""

    form: FormPart | None
    files: FormPart | None

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments. Raises InvalidParameters, UnreadableBody and UnsupportedContentType."""
        fields, files = self._parsed(request)
        if self.form is not None:
            limit = request.app.ctx.config.JSON_MAX_ITEMS
            self.form.type.check_texts(request.body, limit, "form")
            arguments["form"] = validate_texts(self.form.type, "form", fields, self.form.repeatable, self.form.known)
        if self.files is not None:
            arguments["files"] = _validated_files(self.files, files)

    @property
    def content_types(self) -> tuple[str, ...]:
        """The content types that it accepts."""
        return (MULTIPART,) if self.files is not None else (URL_ENCODED, MULTIPART)

    def _parsed(self, request: Request) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[File]]]:
        if not request.body:
            return {}, {}
        kind, parameters = check_content_type(request, self.content_types)
        config = request.app.ctx.config
        if kind == MULTIPART:
            return read_multipart(request.body, parameters.get("boundary", "").encode(), config)
        return read_url_encoded(request.body, config), {}


def _validated_files(part: FormPart, given: Mapping[str, Sequence[File]]) -> Any:
    values = {name: list(uploads) if name in part.repeatable else uploads[0] for name, uploads in given.items()}
    repeated = [name for name, uploads in given.items() if len(uploads) > 1 and name not in part.repeatable]
    if repeated:
        raise InvalidParameters([FieldError.of(f"files.{printable(name)}", "repeated") for name in repeated])
    try:
        return part.type.validate_python(values)
    except ValidationError as exc:
        raise InvalidParameters.of(exc, "files") from None
