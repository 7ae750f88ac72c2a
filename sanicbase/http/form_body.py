"""A form, with the files that were sent with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import PlainValidator, TypeAdapter, ValidationError, WithJsonSchema
from sanic.request import File, Request, parse_multipart_form

from sanicbase.http.content_type import check_content_type
from sanicbase.http.mistakes import InvalidParameters, Mistake, UnreadableBody, printable
from sanicbase.http.texts import MAX_PARAMETERS, validated

__all__ = ["MULTIPART", "URL_ENCODED", "FormBody", "FormPart", "UploadedFile"]

MULTIPART = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"


def _file(value: object) -> File:
    if not isinstance(value, File):
        raise ValueError("this is no file")
    return value


UploadedFile = Annotated[File, PlainValidator(_file), WithJsonSchema({"type": "string", "format": "binary"})]
"""A file of a form, with `name`, `type` and `body`, which are what the client says: trust none of them."""


@dataclass(frozen=True)
class FormPart:
    """The fields or the files of a form, as one model."""

    adapter: TypeAdapter[Any]
    several: frozenset[str]


@dataclass(frozen=True)
class FormBody:
    """The `form` and the `files` of a view; with files the form must be multipart."""

    form: FormPart | None
    files: FormPart | None

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the arguments. Raises InvalidParameters, UnreadableBody, UnsupportedContentType."""
        fields, files = self._parsed(request)
        if self.form is not None:
            arguments["form"] = validated(self.form.adapter, "form", fields, self.form.several)
        if self.files is not None:
            arguments["files"] = _validated_files(self.files, files)

    @property
    def content_types(self) -> tuple[str, ...]:
        """The kinds of bodies that it takes."""
        return (MULTIPART,) if self.files is not None else (URL_ENCODED, MULTIPART)

    def _parsed(self, request: Request) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[File]]]:
        if not request.body:
            return {}, {}
        kind, parameters = check_content_type(request, self.content_types)
        try:
            if kind == MULTIPART:
                fields, files = parse_multipart_form(request.body, parameters["boundary"].encode())
                return fields, files
            text = request.body.decode()
            return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict"), {}
        except Exception as exc:  # Sanic's parser says in many ways that it found something else
            raise UnreadableBody([Mistake.of("form", "form_invalid")]) from exc


def _validated_files(part: FormPart, given: Mapping[str, Sequence[File]]) -> Any:
    values = {name: list(many) if name in part.several else many[0] for name, many in given.items()}
    repeated = [name for name, many in given.items() if len(many) > 1 and name not in part.several]
    if repeated:
        raise InvalidParameters([Mistake.of(f"files.{printable(name)}", "repeated") for name in repeated])
    try:
        return part.adapter.validate_python(values)
    except ValidationError as exc:
        raise InvalidParameters.of(exc, "files") from None
