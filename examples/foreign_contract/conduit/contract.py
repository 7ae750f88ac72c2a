"""What the contract says of bodies: no envelope, and errors as `{"errors": {"title": ["can't be blank"]}}`."""

from collections.abc import Mapping
from typing import Any

from sanic.request import Request

from conduit.config.errors import ConduitError
from sanicbase import Envelope, ErrorMessage, Failure, Fault, StatusError

BLANK = ErrorMessage("can't be blank", "不能为空")
TOKEN_MISSING = ErrorMessage("is missing", "缺失")
MESSAGES = {"missing": BLANK, "string_too_short": BLANK}


class ConduitEnvelope(Envelope):
    """Views return the whole body; an error is a list of sentences for each thing that is wrong."""

    def content(self, data: object, marks: Mapping[str, object]) -> object:
        return data

    def failure_content(self, request: Request, failure: Failure) -> object:
        if failure.code is StatusError.UNAUTHORIZED:
            return {"errors": {"token": [TOKEN_MISSING.text(failure.language)]}}
        if not failure.faults:
            return {"errors": {_thing(failure): [failure.message]}}
        errors: dict[str, list[str]] = {}
        for fault in failure.faults:
            errors.setdefault(_field(fault), []).append(fault.message)
        return {"errors": errors}

    def success_schema(self, data_schema: dict[str, Any], *, page: type | None = None) -> dict[str, Any]:
        return data_schema

    def failure_schema(self) -> dict[str, Any]:
        sentences = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        errors = {"type": "object", "additionalProperties": sentences, "minProperties": 1}
        return {"type": "object", "properties": {"errors": errors}, "required": ["errors"]}


def _thing(failure: Failure) -> str:
    """ARTICLE_NOT_FOUND is about the article; what is not conduit's own is about the whole."""
    return failure.code.name.partition("_")[0].lower() if isinstance(failure.code, ConduitError) else "body"


def _field(fault: Fault) -> str:
    """The field that clients know: "tagList" of "body.article.tagList.0", "limit" of "query.limit"."""
    place = fault.path.split(".")
    return place[2] if place[0] == "body" and len(place) > 2 else place[-1]
