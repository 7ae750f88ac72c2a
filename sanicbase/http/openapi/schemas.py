"""The schemas of a document: pydantic's own, all generated at once, so that equal names are distinguished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

__all__ = ["REF", "Schema", "Schemas"]

REF = "#/components/schemas/"

Schema = dict[str, Any]
Direction = Literal["in", "out"]
MODES: dict[Direction, JsonSchemaMode] = {"in": "validation", "out": "serialization"}


class Schemas:
    """The schemas of types: of requests (in) and of responses (out)."""

    def __init__(self, types: Iterator[tuple[Direction, TypeAdapter[Any]]]) -> None:
        adapters = {(MODES[direction], id(adapter)): adapter for direction, adapter in types}
        schemas, document = TypeAdapter.json_schemas(
            [(key, mode, adapter) for (mode, key), adapter in adapters.items()], ref_template=f"{REF}{{model}}"
        )
        self._schemas = {(mode, key): schema for (key, mode), schema in schemas.items()}
        self._components: dict[str, Schema] = document.get("$defs", {})
        self._adapters = adapters  # kept, so that their ids are not reused

    def of(self, direction: Direction, adapter: TypeAdapter[Any]) -> Schema:
        """The schema of a type, a reference where it has a name."""
        return self._schemas[MODES[direction], id(adapter)]

    def fields(self, adapter: TypeAdapter[Any]) -> tuple[dict[str, Schema], frozenset[str]]:
        """The fields of an incoming object, and which of them are required."""
        schema = self.of("in", adapter)
        while "$ref" in schema:
            schema = self._components[schema["$ref"].removeprefix(REF)]
        return schema.get("properties", {}), frozenset(schema.get("required", ()))

    def used_by(self, parts: object) -> dict[str, Schema]:
        """The named schemas that parts of the document refer to, in the order of their names."""
        used: dict[str, Schema] = {}
        pending = list(references(parts))
        while pending:
            name = pending.pop()
            if name not in used and name in self._components:
                used[name] = self._components[name]
                pending += references(used[name])
        return dict(sorted(used.items()))


def references(part: object) -> Iterator[str]:
    """The names of the schemas that a part of a document refers to."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REF)
            elif key == "mapping" and isinstance(value, dict):  # of a discriminator
                yield from (path.removeprefix(REF) for path in value.values() if isinstance(path, str))
            else:
                yield from references(value)
    elif isinstance(part, list):
        for item in part:
            yield from references(item)
