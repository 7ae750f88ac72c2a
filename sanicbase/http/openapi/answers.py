"""The answers of an operation as a document has them: what it returns, and what can go wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from sanicbase.codes import ErrorCode, StatusError, status_code
from sanicbase.http.answers import Answer
from sanicbase.http.envelope import Envelope
from sanicbase.http.form_body import FormBody
from sanicbase.http.json_body import JsonBody
from sanicbase.http.openapi.schemas import Schema, Schemas
from sanicbase.http.operation import Operation
from sanicbase.http.returned import NoContent
from sanicbase.http.texts import ListTexts, PathTexts, Texts
from sanicbase.i18n import languages

__all__ = ["FAILURES", "answers", "failures"]

FAILURES = {
    400: ("BadRequest", "What was sent cannot be understood: a body that is no JSON, a filter that is not offered."),
    401: ("Unauthorized", "It is not known who asks."),
    403: ("Forbidden", "Whoever asks may not."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "It is in conflict with what there is, or with what somebody else does."),
    413: ("TooLarge", "The body is too large."),
    415: ("UnsupportedContentType", "The body is of another kind."),
    422: ("Invalid", "What was sent does not fit; `data` names each mistake."),
    500: ("Failed", "The service has failed; its log has the reason, by the request's id."),
    503: ("Unavailable", "The service cannot answer at the moment."),
}
"""By status, the name and the meaning of each answer that says that something went wrong."""

WRITING = ("POST", "PUT", "PATCH", "DELETE")


def answers(
    operation: Operation, method: str, *, guarded: bool, schemas: Schemas, envelope: Envelope
) -> dict[str, Schema]:
    """All answers of an operation, by status."""
    found = {
        str(int(status)): _success(each, schemas, envelope) for status, each in operation.answers.by_status.items()
    }
    if operation.answers.stream is not None or operation.answers.file or operation.answers.raw:
        found.setdefault("200", {"description": HTTPStatus.OK.phrase, **_raw(operation)})
    if operation.answers.empty:
        found[str(NoContent.status)] = {"description": HTTPStatus.NO_CONTENT.phrase}
    for status in failures(operation, method, guarded=guarded):
        found[str(status)] = _failure(operation, status, envelope)
    return dict(sorted(found.items()))


def failures(operation: Operation, method: str, *, guarded: bool) -> list[int]:
    """The statuses by which an operation may fail."""
    found = {500, 503, *(code.status for code in operation.raises)}
    if guarded:
        found |= {401, 403}
    if method in WRITING:
        found |= {409, 422}
    if operation.answers.file:
        found |= {404}
    for source in operation.sources:
        if isinstance(source, PathTexts):
            found |= {404}
        elif isinstance(source, ListTexts):
            found |= {400}
        elif isinstance(source, Texts):
            found |= {422}
        elif isinstance(source, JsonBody | FormBody):
            found |= {400, 413, 415, 422}
    return sorted(found)


def _failure(operation: Operation, status: int, envelope: Envelope) -> Schema:
    """An answer that is the same everywhere, or one that tells which codes of the service's own it may have."""
    own = [code for code in operation.raises if code.status == status and not isinstance(code, StatusError)]
    if status in FAILURES and not own:
        return {"$ref": f"#/components/responses/{FAILURES[status][0]}"}
    meaning = FAILURES[status][1] if status in FAILURES else status_code(status).en
    content = {envelope.failure_media_type: {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {"description": "\n\n".join([meaning, *map(_described, own)]), "content": content}


def _described(code: ErrorCode) -> str:
    texts = dict.fromkeys(code.message.text(language) for language in languages())
    return f"`{code.code}` {code.name}: {' '.join(texts)}"


def _success(answer: Answer, schemas: Schemas, envelope: Envelope) -> Schema:
    schema = envelope.success_schema(schemas.of("out", answer.adapter), page=answer.page)
    found: Schema = {
        "description": answer.status.phrase,
        "content": {envelope.media_type: {"schema": schema}},
    }
    if answer.status != HTTPStatus.OK:
        found["headers"] = {"Location": {"description": "Where it is to be found.", "schema": {"type": "string"}}}
    return found


def _raw(operation: Operation) -> dict[str, Any]:
    if operation.answers.stream is str:
        return {"content": {"text/plain": {"schema": {"type": "string"}}}}
    if operation.answers.stream is bytes:
        return {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    return {"content": {"*/*": {"schema": {}}}}
