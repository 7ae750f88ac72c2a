"""pydantic's core schemas: traversing and changing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "WRAPPERS",
    "Schema",
    "changed",
    "definitions_of",
    "inner_schemas",
    "reachable",
    "subschemas",
    "without_wrappers",
]

Schema = dict[str, Any]

INNER = (
    "schema", "choices", "fields", "items_schema", "keys_schema", "values_schema", "extras_schema",
    "extras_keys_schema", "lax_schema", "strict_schema", "json_schema", "python_schema", "steps", "definitions",
    "arguments_schema", "var_args_schema", "var_kwargs_schema",
)  # fmt: skip
"""The keys under which a core schema contains others; all other keys contain settings and values."""

WRAPPERS = ("schema", "lax_schema", "strict_schema", "json_schema", "steps")


def changed(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A copy in which `change` has replaced each schema, the innermost first."""
    if isinstance(schema, (list, tuple)):
        return type(schema)(changed(inner, change) for inner in schema)
    if not isinstance(schema, dict):
        return schema
    if not isinstance(schema.get("type"), str):  # fields by name, choices by tag
        return {name: changed(inner, change) for name, inner in schema.items()}
    return change({key: changed(value, change) if key in INNER else value for key, value in schema.items()})


def inner_schemas(schema: Schema) -> Iterator[Schema]:
    """The schemas directly inside a schema; fields count as schemas."""
    for key in INNER:
        if key in schema:
            yield from _schemas(schema[key])


def subschemas(schema: Schema) -> Iterator[Schema]:
    """The schema and all inside it, without following references."""
    yield schema
    for inner in inner_schemas(schema):
        yield from subschemas(inner)


def definitions_of(schema: Schema) -> dict[str, Schema]:
    """The schemas that references point to, by name."""
    return {inner["ref"]: inner for inner in subschemas(schema) if "ref" in inner}


def reachable(schema: Schema, definitions: dict[str, Schema]) -> Iterator[Schema]:
    """The schema and all inside it and inside its references, once each."""
    pending, seen = [schema], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += inner_schemas(current)
        if current["type"] == "definition-ref":
            pending.append(definitions[current["schema_ref"]])


def without_wrappers(schema: Schema, definitions: dict[str, Schema]) -> Iterator[Schema]:
    """The innermost schemas that validate the same value as this one: the choices of unions, the contents of defaults,
    functions and references."""
    pending, seen = [schema], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if current["type"] == "definition-ref":
            pending.append(definitions[current["schema_ref"]])
        elif current["type"] in ("union", "tagged-union"):
            pending += _schemas(current["choices"])
        elif current["type"] != "json" and any(key in current for key in WRAPPERS):
            pending += [inner for key in WRAPPERS if key in current for inner in _schemas(current[key])]
        else:
            yield current


def _schemas(value: Any) -> Iterator[Schema]:
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _schemas(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _schemas(inner)
