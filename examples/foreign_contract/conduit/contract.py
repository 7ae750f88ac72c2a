"""What the contract says of bodies: no envelope, and errors as `{"errors": {"body": ["…"]}}`."""

from collections.abc import Mapping
from typing import Any

from sanic.request import Request

from sanicbase import Envelope, Failure


class ConduitEnvelope(Envelope):
    """Views return the whole body; every error, whoever raised it, is a list of sentences."""

    def content(self, data: object, marks: Mapping[str, object]) -> object:
        return data

    def failure_content(self, request: Request, failure: Failure) -> object:
        sentences = [f"{fault.path.rpartition('.')[2]}: {fault.message}" for fault in failure.faults]
        return {"errors": {"body": sentences or [failure.message]}}

    def success_schema(self, data_schema: dict[str, Any], *, page: type | None = None) -> dict[str, Any]:
        return data_schema

    def failure_schema(self) -> dict[str, Any]:
        body = {"type": "array", "items": {"type": "string"}}
        errors = {"type": "object", "properties": {"body": body}, "required": ["body"]}
        return {"type": "object", "properties": {"errors": errors}, "required": ["errors"]}
