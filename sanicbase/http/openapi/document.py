"""The document of an app: its routes, their parameters and their responses."""

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
from sanicbase.codes.export import code_list
from sanicbase.config import Config
from sanicbase.http.deprecation import Deprecation
from sanicbase.http.envelope import Envelope, envelope_of
from sanicbase.http.guards import is_guarded, is_limited, is_websocket, required_checks
from sanicbase.http.idempotency.request_key import MAX_LENGTH, PATTERN
from sanicbase.http.openapi.responses import ERRORS, RESPONSE_DESCRIPTIONS, responses
from sanicbase.http.openapi.schemas import Direction, Schema, Schemas
from sanicbase.http.operation import Operation
from sanicbase.http.parameters.form_body import FormBody
from sanicbase.http.parameters.json_body import JsonBody
from sanicbase.http.parameters.params import REQUIRED
from sanicbase.http.parameters.text_parameters import ListParameters, PathParameters, TextParameters
from sanicbase.http.parameters.upload_body import UploadBody
from sanicbase.http.preconditions import IfMatchHeader
from sanicbase.http.routes import operations_of
from sanicbase.i18n import gettext_noop
from sanicbase.server.context import App

__all__ = ["DESCRIPTIONS", "Info", "document", "info_of"]

IMPLICIT_METHODS = ("HEAD", "OPTIONS")  # of every path
IF_MATCH = gettext_noop("The ETag of the version that the client has read.")
IDEMPOTENCY_KEY = gettext_noop(
    "A new UUID for each request. With the same one, a request may be repeated: it is executed once, and gets the same "
    "response."
)
DESCRIPTIONS = (*RESPONSE_DESCRIPTIONS, IF_MATCH, IDEMPOTENCY_KEY)
"""The descriptions that sanicbase writes. The document has them in English, because it is one for all its readers; the
page at `/docs` translates them."""


@dataclass(frozen=True)
class Info:
    """The title, version and description of the service."""

    title: str
    version: str
    description: str = ""


def info_of(config: Config) -> Info:
    """The info of a service, from its settings."""
    return Info(config.API_TITLE or config.SERVER_NAME, config.API_VERSION, config.API_DESCRIPTION)


@dataclass(frozen=True)
class RouteOperation:
    """One operation at one path."""

    route: Route
    method: str
    operation: Operation

    @property
    def path(self) -> str:
        """The path as OpenAPI writes it."""
        return _path(self.route)

    @property
    def id(self) -> str:
        """An id that does not change as long as the view and its blueprint keep their names."""
        return "_".join([*self.route.name.split(".")[1:], self.method.lower()])

    @property
    def tag(self) -> str:
        """The module of the view."""
        return self.module.rpartition(".")[2]

    @property
    def module(self) -> str:
        """The module of the function; for the method of an object, that of its class. So routes that a service
        inherits, such as those of Accounts, are its own."""
        function = self.operation.function
        return str((type(function.__self__) if inspect.ismethod(function) else function).__module__)


def document(app: App, info: Info) -> Schema:
    """The OpenAPI 3.1 document of the app's views; plain handlers of Sanic's are not in it."""
    entries = sorted(_route_operations(app), key=lambda entry: (entry.path, entry.method))
    envelope = envelope_of(app)
    schemas = Schemas(typed for entry in entries for typed in _types(entry.operation))
    paths: dict[str, Schema] = {}
    for entry in entries:
        paths.setdefault(entry.path, {})[entry.method.lower()] = _operation(entry, schemas, envelope)
    return {
        "openapi": "3.1.0",
        "info": {name: value for name, value in vars(info).items() if value},
        "tags": _tags(entries),
        "paths": paths,
        "components": _components(entries, schemas.used_by(paths), envelope),
        **_websockets(app),
        "x-error-codes": code_list(error_codes()),
    }


def _route_operations(app: App) -> Iterator[RouteOperation]:
    for route in app.router.routes:
        for method, operation in operations_of(route).items():
            if method not in IMPLICIT_METHODS:
                yield RouteOperation(route, method, operation)


def _path(route: Route) -> str:
    return re.sub(r"<(\w+)(?::[^>]*)?>", r"{\1}", f"/{route.path}")


def _websockets(app: App) -> Schema:
    """The WebSockets of the app, for the page at `/docs`: OpenAPI does not describe them."""
    routes = sorted((route for route in app.router.routes if is_websocket(route.handler)), key=_path)
    return {"x-websockets": [_websocket(route) for route in routes]} if routes else {}


def _websocket(route: Route) -> Schema:
    summary, _, description = (inspect.getdoc(route.handler) or "").partition("\n")
    return {
        "path": _path(route),
        "summary": summary.rstrip("."),
        "description": description.strip(),
        "guarded": bool(getattr(route.ctx, "guards", ())),
    }


def _types(operation: Operation) -> Iterator[tuple[Direction, TypeAdapter[Any]]]:
    for source in operation.places:
        if isinstance(source, UploadBody):
            yield from (("in", adapter) for adapter in _adapters(source))
        elif isinstance(source, FormBody):
            yield from (("in", part.adapter) for part in (source.form, source.files) if part is not None)
        elif isinstance(source, TextParameters | PathParameters | JsonBody | ListParameters):
            yield "in", source.adapter
    yield from (("out", model.adapter) for model in operation.responses.by_status.values())
    if operation.responses.events is not None:
        yield "out", operation.responses.events.adapter


def _operation(entry: RouteOperation, schemas: Schemas, envelope: Envelope) -> Schema:
    operation, route = entry.operation, entry.route
    guarded, limited = is_guarded(route.ctx.guards), is_limited(route.ctx.guards, entry.method)
    summary, _, description = (inspect.getdoc(operation.function) or entry.id).partition("\n")
    deprecation: Deprecation | None = getattr(route.ctx, "deprecation", None)
    parts = [description.strip(), _deprecation_note(deprecation)]
    document: Schema = {
        "operationId": entry.id,
        "tags": [entry.tag],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(part for part in parts if part),
        "deprecated": deprecation is not None,
        "security": _security(entry),
        "parameters": [*_parameters(operation, schemas), *_idempotency_key(operation)],
        "requestBody": _body(operation, schemas),
        "responses": responses(
            operation, entry.method, guarded=guarded, limited=limited, schemas=schemas, envelope=envelope
        ),
    }
    return {name: value for name, value in document.items() if value}


def _deprecation_note(deprecation: Deprecation | None) -> str:
    if deprecation is None:
        return ""
    until = f" It will be removed on {deprecation.sunset}." if deprecation.sunset else ""
    return f"Deprecated since {deprecation.since}.{until}"


def _parameters(operation: Operation, schemas: Schemas) -> Iterator[Schema]:
    for source in operation.sources:
        if isinstance(source, IfMatchHeader):
            yield {
                "name": "If-Match",
                "in": "header",
                "required": source.required,
                "description": IF_MATCH,
                "schema": {"type": "string"},
            }
        if not isinstance(source, TextParameters | PathParameters | ListParameters):
            continue
        fields, required = schemas.fields(source.adapter)
        for name, schema in fields.items():
            parameter = _parameter(name, source.place, schema, required=name in required)
            # A filter of a list may be empty, like an empty field of a search form.
            yield parameter | {"allowEmptyValue": True} if isinstance(source, ListParameters) else parameter


def _idempotency_key(operation: Operation) -> Iterator[Schema]:
    if operation.idempotency is not None:
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": PATTERN}
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": operation.idempotency.required,
            "description": IDEMPOTENCY_KEY,
            "schema": schema,
        }


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    """A parameter. The description and the deprecation of its schema become its own."""
    schema = _without_null(schema)
    moved: Schema = {key: schema.pop(key) for key in ("description", "deprecated") if key in schema}
    schema.pop("title", None)
    return {"name": name, "in": place, "required": required, **moved, "schema": schema}


def _without_null(schema: Schema) -> Schema:
    """A parameter is given or omitted; a text cannot be null."""
    schema = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    if choices := schema.get("anyOf"):
        rest = [choice for choice in choices if choice != {"type": "null"}]
        schema |= {"anyOf": rest}
        if len(rest) == 1:
            del schema["anyOf"]
            schema |= rest[0]
    return schema


def _body(operation: Operation, schemas: Schemas) -> Schema:
    for source in operation.places:
        if isinstance(source, JsonBody):
            content = {"application/json": {"schema": schemas.of("in", source.adapter)}}
            return {"required": source.default is REQUIRED, "content": content}
        if isinstance(source, FormBody):
            parts = [schemas.of("in", part.adapter) for part in (source.form, source.files) if part is not None]
            schema = parts[0] if len(parts) == 1 else {"allOf": parts}
            return {"required": True, "content": {kind: {"schema": schema} for kind in source.content_types}}
        if isinstance(source, UploadBody):
            files = _upload_schema(source, schemas)
            form_schema = None if source.form is None else schemas.of("in", source.form.adapter)
            schema = files if form_schema is None else {"allOf": [form_schema, files]}
            form = {"schema": schema, "encoding": source.encoding} if source.encoding else {"schema": schema}
            return {"required": True, "content": dict.fromkeys(source.content_types, form)}
    return {}


def _adapters(uploads: UploadBody) -> list[TypeAdapter[Any]]:
    return [uploads.adapter] if uploads.form is None else [uploads.form.adapter, uploads.adapter]


def _upload_schema(uploads: UploadBody, schemas: Schemas) -> Schema:
    """The files of a form. The schema has no name, because uploads are parameters and not a model."""
    fields, required = schemas.fields(uploads.adapter)
    schema: Schema = {"type": "object", "properties": {name: _without_null(field) for name, field in fields.items()}}
    for name, upload in uploads.fields.items():
        if upload.many:
            schema["properties"][name] |= {"maxItems": upload.max_files}
    return schema | {"required": sorted(required)} if required else schema


def _security(entry: RouteOperation) -> list[dict[str, list[str]]]:
    if not _has_user(entry):
        return []
    schemes: list[dict[str, list[str]]] = [{name: []} for name in entry.route.ctx.spec.security]
    required = entry.operation.requires_user or required_checks(entry.route.ctx.guards, entry.method)
    return schemes if required else [{}, *schemes]


def _has_user(entry: RouteOperation) -> bool:
    return entry.operation.takes_user or bool(required_checks(entry.route.ctx.guards, entry.method))


def _tags(entries: list[RouteOperation]) -> list[Schema]:
    tags: dict[str, Schema] = {}
    for entry in entries:
        doc = inspect.getdoc(sys.modules.get(entry.module)) or ""
        tags.setdefault(entry.tag, {"name": entry.tag, **({"description": doc} if doc else {})})
    return list(tags.values())


def _components(entries: list[RouteOperation], schemas: dict[str, Schema], envelope: Envelope) -> Schema:
    security: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        security |= entry.route.ctx.spec.security if _has_user(entry) else {}
    content = {envelope.error_media_type: {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {
        "schemas": {**schemas, "Failure": envelope.error_schema()},
        "responses": {name: {"description": description, "content": content} for name, description in ERRORS.values()},
        "securitySchemes": {name: dict(scheme) for name, scheme in security.items()},
    }
