"""The document of an app: its routes, what they take, what they answer."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sanic_routing.route import Route

from sanicbase.codes import error_codes
from sanicbase.codes.export import listed
from sanicbase.config import Config
from sanicbase.http.deprecation import Deprecation
from sanicbase.http.envelope import Envelope
from sanicbase.http.form_body import FormBody
from sanicbase.http.json_body import REQUIRED, JsonBody
from sanicbase.http.openapi.answers import FAILURES, answers
from sanicbase.http.openapi.schemas import Direction, Schema, Schemas
from sanicbase.http.operation import Operation
from sanicbase.http.routes import operations_of
from sanicbase.http.texts import ListTexts, PathTexts, Texts
from sanicbase.typing import App

__all__ = ["Info", "document", "info_of"]

UNSAID = ("HEAD", "OPTIONS")  # every path has them


@dataclass(frozen=True)
class Info:
    """What the document says of the service itself."""

    title: str
    version: str
    description: str = ""


def info_of(config: Config) -> Info:
    """What the settings say of the service."""
    return Info(config.API_TITLE or config.SERVER_NAME, config.API_VERSION, config.API_DESCRIPTION)


@dataclass(frozen=True)
class Served:
    """One operation at one path."""

    route: Route
    method: str
    operation: Operation

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it."""
        return re.sub(r"<(\w+)(?::[^>]*)?>", r"{\1}", f"/{self.route.path}")

    @property
    def id(self) -> str:
        """A name that stays as long as the view and its blueprint keep theirs."""
        return "_".join([*self.route.name.split(".")[1:], self.method.lower()])

    @property
    def tag(self) -> str:
        """The module of the view."""
        return str(self.operation.function.__module__).rpartition(".")[2]


def document(app: App, info: Info) -> Schema:
    """The OpenAPI 3.1 document of the app's views; plain handlers of Sanic's say nothing of themselves."""
    served = sorted(_served(app), key=lambda each: (each.path, each.method))
    envelope: Envelope = app.ctx.envelope
    schemas = Schemas(each for one in served for each in _types(one.operation))
    paths: dict[str, Schema] = {}
    for each in served:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas, envelope)
    return {
        "openapi": "3.1.0",
        "info": {name: value for name, value in vars(info).items() if value},
        "tags": _tags(served),
        "paths": paths,
        "components": _components(served, schemas.used_by(paths), envelope),
        "x-error-codes": listed(error_codes()),
    }


def _served(app: App) -> Iterator[Served]:
    for route in app.router.routes:
        for method, operation in operations_of(route).items():
            if method not in UNSAID:
                yield Served(route, method, operation)


def _types(operation: Operation) -> Iterator[tuple[Direction, TypeAdapter[Any]]]:
    for source in operation.sources:
        if isinstance(source, FormBody):
            yield from (("in", part.adapter) for part in (source.form, source.files) if part is not None)
        elif isinstance(source, Texts | PathTexts | JsonBody | ListTexts):
            yield "in", source.adapter
    yield from (("out", each.adapter) for each in operation.answers.by_status.values())


def _operation(served: Served, schemas: Schemas, envelope: Envelope) -> Schema:
    operation, route, guarded = served.operation, served.route, bool(served.route.ctx.rules)
    summary, _, description = (inspect.getdoc(operation.function) or served.id).partition("\n")
    deprecation: Deprecation | None = getattr(route.ctx, "deprecation", None)
    parts = [description.strip(), _farewell(deprecation)]
    found: Schema = {
        "operationId": served.id,
        "tags": [served.tag],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(part for part in parts if part),
        "deprecated": deprecation is not None,
        "security": _security(served),
        "parameters": list(_parameters(operation, schemas)),
        "requestBody": _body(operation, schemas),
        "responses": answers(operation, served.method, guarded=guarded, schemas=schemas, envelope=envelope),
    }
    return {name: value for name, value in found.items() if value}


def _farewell(deprecation: Deprecation | None) -> str:
    if deprecation is None:
        return ""
    until = f" It will be gone on {deprecation.sunset}." if deprecation.sunset else ""
    return f"Deprecated since {deprecation.since}.{until}"


def _parameters(operation: Operation, schemas: Schemas) -> Iterator[Schema]:
    for source in operation.sources:
        if not isinstance(source, Texts | PathTexts | ListTexts):
            continue
        fields, required = schemas.fields(source.adapter)
        for name, schema in fields.items():
            yield _parameter(name, source.place, schema, required=name in required) | _emptiness(source)


def _emptiness(source: Texts | PathTexts | ListTexts) -> Schema:
    """What is asked of a list may be left empty, as an empty field of a search form is."""
    return {"allowEmptyValue": True} if isinstance(source, ListTexts) else {}


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    """A parameter; what its schema says of the parameter itself moves up to it."""
    schema = _without_null(schema)
    said: Schema = {key: schema.pop(key) for key in ("description", "deprecated") if key in schema}
    schema.pop("title", None)
    return {"name": name, "in": place, "required": required, **said, "schema": schema}


def _without_null(schema: Schema) -> Schema:
    """A parameter is given or left out; a text cannot be null."""
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    if choices := schema.get("anyOf"):
        rest = [choice for choice in choices if choice != {"type": "null"}]
        schema |= {"anyOf": rest}
        if len(rest) == 1:
            del schema["anyOf"]
            schema |= rest[0]
    return schema


def _body(operation: Operation, schemas: Schemas) -> Schema:
    for source in operation.sources:
        if isinstance(source, JsonBody):
            content = {"application/json": {"schema": schemas.of("in", source.adapter)}}
            return {"required": source.default is REQUIRED, "content": content}
        if isinstance(source, FormBody):
            parts = [schemas.of("in", part.adapter) for part in (source.form, source.files) if part is not None]
            schema = parts[0] if len(parts) == 1 else {"allOf": parts}
            return {"required": True, "content": {kind: {"schema": schema} for kind in source.content_types}}
    return {}


def _security(served: Served) -> list[dict[str, list[str]]]:
    if not served.operation.takes_user:
        return []
    named: list[dict[str, list[str]]] = [{name: []} for name in served.route.ctx.exposed.security]
    return named if served.operation.wants_user else [{}, *named]


def _tags(served: list[Served]) -> list[Schema]:
    tags: dict[str, Schema] = {}
    for each in served:
        doc = inspect.getdoc(sys.modules.get(each.operation.function.__module__)) or ""
        tags.setdefault(each.tag, {"name": each.tag, **({"description": doc} if doc else {})})
    return list(tags.values())


def _components(served: list[Served], schemas: dict[str, Schema], envelope: Envelope) -> Schema:
    security: dict[str, Mapping[str, Any]] = {}
    for each in served:
        security |= each.route.ctx.exposed.security if each.operation.takes_user else {}
    content = {envelope.failure_media_type: {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {
        "schemas": {**schemas, "Failure": envelope.failure_schema()},
        "responses": {name: {"description": why, "content": content} for name, why in FAILURES.values()},
        "securitySchemes": {name: dict(scheme) for name, scheme in security.items()},
    }
