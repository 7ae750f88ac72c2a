"""The responses of an operation in the document: success and errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from sanicbase.codes import ErrorCode, StatusError, status_code
from sanicbase.http.envelope import Envelope
from sanicbase.http.openapi.schemas import Schema, Schemas
from sanicbase.http.operation import Operation
from sanicbase.http.parameters.form_body import FormBody
from sanicbase.http.parameters.json_body import JsonBody
from sanicbase.http.parameters.text_parameters import ListParameters, PathParameters, TextParameters
from sanicbase.http.responses import ResponseModel
from sanicbase.http.return_types import NoContent
from sanicbase.i18n import languages

__all__ = ["ERRORS", "error_statuses", "responses"]

ERRORS = {
    400: ("BadRequest", "The request is malformed: a body that is not JSON, a filter that the list does not have."),
    401: ("Unauthorized", "Authentication is required."),
    403: ("Forbidden", "The client does not have permission."),
    404: ("NotFound", "The resource does not exist."),
    409: ("Conflict", "The request conflicts with existing data, or with another request."),
    413: ("TooLarge", "The body is too large."),
    415: ("UnsupportedContentType", "The content type of the body is not supported."),
    422: ("Invalid", "The request is not valid; `data` has an error for each invalid value."),
    500: ("Failed", "An internal server error occurred. The log has the details, with the id of the request."),
    503: ("Unavailable", "The service is temporarily unavailable."),
}
"""By status, the name and the description of each error response."""

WRITING = ("POST", "PUT", "PATCH", "DELETE")


def responses(
    operation: Operation, method: str, *, guarded: bool, schemas: Schemas, envelope: Envelope
) -> dict[str, Schema]:
    """All responses of an operation, by status."""
    declared = operation.responses
    by_status = {str(int(status)): _success(model, schemas, envelope) for status, model in declared.by_status.items()}
    if declared.stream is not None or declared.file or declared.raw:
        by_status.setdefault("200", {"description": HTTPStatus.OK.phrase, **_raw(operation)})
    if declared.empty:
        by_status[str(NoContent.status)] = {"description": HTTPStatus.NO_CONTENT.phrase}
    for status in error_statuses(operation, method, guarded=guarded):
        by_status[str(status)] = _error(operation, status, envelope)
    return dict(sorted(by_status.items()))


def error_statuses(operation: Operation, method: str, *, guarded: bool) -> list[int]:
    """The statuses of the errors that an operation may end in."""
    statuses = {500, 503, *(code.status for code in operation.raises)}
    if guarded:
        statuses |= {401, 403}
    if method in WRITING:
        statuses |= {409, 422}
    if operation.responses.file:
        statuses |= {404}
    for source in operation.sources:
        if isinstance(source, PathParameters):
            statuses |= {404}
        elif isinstance(source, ListParameters):
            statuses |= {400}
        elif isinstance(source, TextParameters):
            statuses |= {422}
        elif isinstance(source, JsonBody | FormBody):
            statuses |= {400, 413, 415, 422}
    return sorted(statuses)


def _error(operation: Operation, status: int, envelope: Envelope) -> Schema:
    """The shared response of that status, or one that lists the service's own codes for it."""
    own = [code for code in operation.raises if code.status == status and not isinstance(code, StatusError)]
    if status in ERRORS and not own:
        return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}
    description = ERRORS[status][1] if status in ERRORS else status_code(status).en
    content = {envelope.error_media_type: {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {"description": "\n\n".join([description, *map(_described, own)]), "content": content}


def _described(code: ErrorCode) -> str:
    texts = dict.fromkeys(code.message.text(language) for language in languages())
    return f"`{code.code}` {code.name}: {' '.join(texts)}"


def _success(model: ResponseModel, schemas: Schemas, envelope: Envelope) -> Schema:
    schema = envelope.success_schema(schemas.of("out", model.adapter), page=model.page)
    response: Schema = {
        "description": model.status.phrase,
        "content": {envelope.media_type: {"schema": schema}},
    }
    if model.status != HTTPStatus.OK:
        response["headers"] = {"Location": {"description": "The URL of the resource.", "schema": {"type": "string"}}}
    return response


def _raw(operation: Operation) -> dict[str, Any]:
    if operation.responses.stream is str:
        return {"content": {"text/plain": {"schema": {"type": "string"}}}}
    if operation.responses.stream is bytes:
        return {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    return {"content": {"*/*": {"schema": {}}}}
