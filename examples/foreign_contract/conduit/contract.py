"""The format of responses: no envelope, and errors as `{"errors": {"title": ["can't be blank"]}}`."""

from collections.abc import Mapping
from typing import Any

from sanic.request import Request

from conduit.config.errors import ConduitError
from sanicbase import Envelope, ErrorMessage, FieldError, Problem, StatusError

BLANK = ErrorMessage("can't be blank", "不能为空")
TOKEN_MISSING = ErrorMessage("is missing", "缺失")
MESSAGES = {"missing": BLANK, "string_too_short": BLANK}


class ConduitEnvelope(Envelope):
    """Results without an envelope, and errors as a list of messages for each field."""

    def content(self, data: object, meta: Mapping[str, object]) -> object:
        return data

    def error_content(self, request: Request, problem: Problem) -> object:
        if problem.code is StatusError.UNAUTHORIZED:
            return {"errors": {"token": [TOKEN_MISSING.text(problem.language)]}}
        if not problem.errors:
            return {"errors": {_resource(problem): [problem.message]}}
        errors: dict[str, list[str]] = {}
        for error in problem.errors:
            errors.setdefault(_field(error), []).append(error.message)
        return {"errors": errors}

    def success_schema(self, data_schema: dict[str, Any], *, page: type | None = None) -> dict[str, Any]:
        return data_schema

    def error_schema(self) -> dict[str, Any]:
        sentences = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        errors = {"type": "object", "additionalProperties": sentences, "minProperties": 1}
        return {"type": "object", "properties": {"errors": errors}, "required": ["errors"]}


def _resource(problem: Problem) -> str:
    """Return "article" for ARTICLE_NOT_FOUND, and "body" for the errors of sanicbase."""
    return problem.code.name.partition("_")[0].lower() if isinstance(problem.code, ConduitError) else "body"


def _field(error: FieldError) -> str:
    """Return the name of the field: "tagList" for "body.article.tagList.0", "limit" for "query.limit"."""
    place = error.path.split(".")
    return place[2] if place[0] == "body" and len(place) > 2 else place[-1]
