"""The responses of an operation in the document: success and errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from sanicbase.codes import ErrorCode, StatusError, status_code
from sanicbase.db.pagination import EstimatedPage, Page
from sanicbase.http.envelope import Envelope
from sanicbase.http.openapi.schemas import Schema, Schemas
from sanicbase.http.operation import Operation
from sanicbase.http.parameters.form_body import FormBody
from sanicbase.http.parameters.json_body import JsonBody
from sanicbase.http.parameters.signature import Source
from sanicbase.http.parameters.text_parameters import ListParameters, PathParameters, TextParameters
from sanicbase.http.parameters.upload_body import UploadBody
from sanicbase.http.preconditions import IfMatchHeader
from sanicbase.http.responses import ResponseModel
from sanicbase.http.return_types import NoContent
from sanicbase.i18n import gettext_noop as _
from sanicbase.i18n import languages

__all__ = ["ERRORS", "RESPONSE_DESCRIPTIONS", "error_statuses", "responses"]

ERRORS = {
    400: ("BadRequest", _("The request is malformed: a body that is not JSON, a filter that the list does not have.")),
    401: ("Unauthorized", _("Authentication is required.")),
    403: ("Forbidden", _("The client does not have permission.")),
    404: ("NotFound", _("The resource does not exist.")),
    409: ("Conflict", _("The request conflicts with existing data, or with another request.")),
    412: ("PreconditionFailed", _("The resource has another version; `ETag` has the current one.")),
    413: ("TooLarge", _("The body is too large.")),
    415: ("UnsupportedContentType", _("The content type of the body is not supported.")),
    422: ("Invalid", _("The request is not valid; `data` has an error for each invalid value.")),
    428: ("PreconditionRequired", _("The header If-Match is required.")),
    500: ("Failed", _("An internal server error occurred. The log has the details, with the id of the request.")),
    503: ("Unavailable", _("The service is temporarily unavailable.")),
}
"""By status, the name and the description of each error response."""

EVENTS = _("Server-sent events, whose data is this.")
NOT_MODIFIED = _("The client has this version: it has sent it in If-None-Match.")
RESPONSE_DESCRIPTIONS = (
    *(description for _name, description in ERRORS.values()),
    *(code.en for code in StatusError),
    EVENTS,
    NOT_MODIFIED,
)

WRITING = ("POST", "PUT", "PATCH", "DELETE")


def responses(
    operation: Operation, method: str, *, guarded: bool, limited: bool, schemas: Schemas, envelope: Envelope
) -> dict[str, Schema]:
    """All responses of an operation, by status."""
    declared = operation.responses
    by_status = {
        str(int(model.status)): _success(model, _page(operation, model), schemas, envelope)
        for model in declared.by_status.values()
    }
    if declared.events is not None:
        content = {"text/event-stream": {"schema": schemas.of("out", declared.events.adapter)}}
        by_status["200"] = {"description": EVENTS, "content": content}
    if declared.stream is not None or declared.file or declared.raw:
        by_status.setdefault("200", {"description": HTTPStatus.OK.phrase, **_raw(operation)})
    if method == "GET" and any(model.has_version for model in declared.by_status.values()):
        by_status["304"] = {"description": NOT_MODIFIED}
    if declared.empty:
        by_status[str(NoContent.status)] = {"description": HTTPStatus.NO_CONTENT.phrase}
    for status in error_statuses(operation, method, guarded=guarded, limited=limited):
        by_status[str(status)] = _error(operation, status, envelope)
    return dict(sorted(by_status.items()))


def error_statuses(operation: Operation, method: str, *, guarded: bool, limited: bool = False) -> list[int]:
    """The statuses of the errors that an operation may return."""
    statuses = {500, 503, *(code.status for code in operation.raises)}
    if guarded:
        statuses |= {401, 403}
    if limited:
        statuses |= {429}
    if method in WRITING:
        statuses |= {409, 422}
    if operation.idempotency is not None:
        statuses |= {400}
    if operation.responses.file:
        statuses |= {404}
    for source in operation.places:
        statuses |= _source_statuses(source)
    return sorted(statuses)


def _source_statuses(source: Source | UploadBody) -> set[int]:
    """The statuses of the errors in one part of the request."""
    if isinstance(source, PathParameters):
        return {404}
    if isinstance(source, ListParameters):
        return {400}
    if isinstance(source, IfMatchHeader):
        return {400, 412, 428} if source.required else {400, 412}
    if isinstance(source, TextParameters):
        return {422}
    return {400, 413, 415, 422} if isinstance(source, JsonBody | FormBody | UploadBody) else set()


def _error(operation: Operation, status: int, envelope: Envelope) -> Schema:
    """The shared response of that status, or one that lists the service's own codes for it."""
    service_codes = [code for code in operation.raises if code.status == status and not isinstance(code, StatusError)]
    if status in ERRORS and not service_codes:
        return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}
    description = ERRORS[status][1] if status in ERRORS else status_code(status).en
    content = {envelope.error_media_type: {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {"description": "\n\n".join([description, *map(_described, service_codes)]), "content": content}


def _described(code: ErrorCode) -> str:
    texts = dict.fromkeys(code.message.text(language) for language in languages())
    return f"`{code.code}` {code.name}: {' '.join(texts)}"


def _page(operation: Operation, model: ResponseModel) -> type | None:
    """The kind of page that the operation returns: the total of a list depends on its declaration."""
    queries = [source.query for source in operation.sources if isinstance(source, ListParameters)]
    if model.page is Page and any(query.declaration.totals != ("exact",) for query in queries):
        return EstimatedPage
    return model.page


def _success(model: ResponseModel, page: type | None, schemas: Schemas, envelope: Envelope) -> Schema:
    schema = envelope.success_schema(schemas.of("out", model.adapter), page=page)
    response: Schema = {
        "description": model.status.phrase,
        "content": {envelope.media_type: {"schema": schema}},
    }
    headers = {
        "Location": "The URL of the resource." if model.status != HTTPStatus.OK else "",
        "ETag": "The version of the resource." if model.has_version else "",
    }
    if described := {name: text for name, text in headers.items() if text}:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()
        }
    return response


def _raw(operation: Operation) -> dict[str, Any]:
    if operation.responses.stream is str:
        return {"content": {"text/plain": {"schema": {"type": "string"}}}}
    if operation.responses.stream is bytes:
        return {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    return {"content": {"*/*": {"schema": {}}}}
