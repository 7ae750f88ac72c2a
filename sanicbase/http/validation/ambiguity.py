"""Types whose validation takes exponential time: unions that contain themselves, and several of whose choices accept
the same part of a document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from sanicbase.http.validation.core_schemas import (
    Schema,
    definitions_of,
    inner_schemas,
    reachable,
    subschemas,
    without_wrappers,
)

__all__ = ["is_exponential"]

Entries = dict[str, list[Schema]]

ANY_KEY = "*"  # of objects whose keys are not declared
ITEMS = "[]"  # of arrays
TEXT = '""'  # a text that is parsed as JSON
ARRAYS = ("list", "deque", "tuple", "set", "frozenset", "generator")
OBJECTS = ("dict", "frozen-dict", "ordered-dict", "default-dict", "mapping", "counter")


def is_exponential(schema: Schema) -> bool:
    """Whether a document of depth n can cost 2**n steps: two choices of a union pass the value of the same key back to
    the union. pydantic tries all choices at each level; with a discriminator it tries only one."""
    definitions = definitions_of(schema)
    unions = [subschema for subschema in subschemas(schema) if subschema["type"] == "union"]
    return any(_is_ambiguous(union, definitions) for union in unions)


def _is_ambiguous(union: Schema, definitions: dict[str, Schema]) -> bool:
    keys = [_recursive_keys(choice, union, definitions) for choice in _choices(union)]
    return any(_overlap(one, other) for one, other in combinations(keys, 2))


def _choices(union: Schema) -> list[Schema]:
    return [choice[0] if isinstance(choice, tuple) else choice for choice in union["choices"]]


def _recursive_keys(choice: Schema, union: Schema, definitions: dict[str, Schema]) -> set[str]:
    """The keys whose values a choice validates with the same union."""
    return {
        key
        for container in without_wrappers(choice, definitions)
        for key, inner in _entries(container)
        if any(schema is union for schema in reachable(inner, definitions))
    }


def _overlap(one: set[str], other: set[str]) -> bool:
    if one & other:
        return True
    return any(ANY_KEY in first and second - {ITEMS, TEXT} for first, second in ((one, other), (other, one)))


def _entries(container: Schema) -> Iterator[tuple[str, Schema]]:
    kind = container["type"]
    if kind in ARRAYS:
        yield from ((ITEMS, inner) for inner in inner_schemas(container))
    elif kind == "json":
        yield from ((TEXT, inner) for inner in inner_schemas(container))
    elif kind in OBJECTS:
        yield from ((ANY_KEY, inner) for inner in inner_schemas(container))
    elif kind in ("model-fields", "typed-dict", "dataclass-args"):
        fields = container["fields"]
        named = fields.items() if isinstance(fields, dict) else [(field["name"], field) for field in fields]
        for name, field in named:
            yield from ((key, field["schema"]) for key in _keys(name, field.get("validation_alias")))
        if "extras_schema" in container:
            yield ANY_KEY, container["extras_schema"]


def _keys(name: str, alias: object) -> Iterator[str]:
    yield name
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, list):  # one path, or several
        for path in alias if alias and isinstance(alias[0], list) else [alias]:
            yield str(path[0])
