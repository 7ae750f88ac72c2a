"""Compares two versions of a schema: whether requests and responses of the old one are valid in the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Comparison", "Schema", "resolved"]

Schema = dict[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def resolved(document: Schema, part: Schema) -> Schema:
    """The part with its references resolved."""
    while "$ref" in part:
        target: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part


class Comparison:
    """Compares schemas of an old and a new document."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._active: set[tuple[str, str, bool]] = set()

    def input_changes(self, old: Schema, new: Schema, where: str) -> list[str]:
        """The changes of a request: what the old schema accepts and the new one does not."""
        return list(self._compare(old, new, where, is_input=True))

    def output_changes(self, old: Schema, new: Schema, where: str) -> list[str]:
        """The changes of a response: what only one of the two schemas returns."""
        return list(self._compare(old, new, where, is_input=False))

    def _compare(self, old: Schema, new: Schema, where: str, *, is_input: bool) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""), is_input)
        if all(pair[:2]):
            if pair in self._active:  # a schema that contains itself
                return
            self._active.add(pair)
        before, after = self._choices(self._old, old), self._choices(self._new, new)
        if len(before) == len(after) == 1:
            yield from self._single(before[0], after[0], where, is_input=is_input)
        elif is_input:
            yield from self._choice(before, after, where, is_input=True)
        else:
            yield from self._choice(after, before, where, is_input=False)
        self._active.discard(pair)

    def _choices(self, document: Schema, schema: Schema) -> list[Schema]:
        schema = resolved(document, schema)
        if isinstance(kinds := schema.get("type"), list):
            return [{**schema, "type": kind} for kind in kinds]
        parts = schema.get("anyOf") or schema.get("oneOf")
        return [choice for part in parts for choice in self._choices(document, part)] if parts else [schema]

    def _choice(self, required: list[Schema], available: list[Schema], where: str, *, is_input: bool) -> Iterator[str]:
        """Each schema of `required` must match one of `available`: old schemas of requests, new ones of responses."""
        for schema in required:
            pairs = [(schema, other) if is_input else (other, schema) for other in available]
            if all(any(self._single(old, new, where, is_input=is_input)) for old, new in pairs):
                yield f"{where} {'no longer accepts' if is_input else 'can now be'} {_schema_name(schema)}."

    def _single(self, old: Schema, new: Schema, where: str, *, is_input: bool) -> Iterator[str]:
        if change := _type_change(old, new, is_input=is_input):
            yield f"{where} {change}."
            return
        yield from (f"{where} {change}." for change in _values(old, new, is_input=is_input))
        if is_input:
            yield from (f"{where} {change}." for change in _limits(old, new))
        if "properties" in old or "properties" in new:
            yield from self._fields(old, new, where, is_input=is_input)
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
                yield from self._compare(old[name], new[name], f"{where}[]", is_input=is_input)

    def _fields(self, old: Schema, new: Schema, where: str, *, is_input: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required, required_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(before.keys() - after.keys()):
            yield f"{where}.{name} was removed."
        for name in sorted((required_now - required) if is_input else ()):
            yield f"{where}.{name} is {'required now' if name in before else 'new and required'}."
        for name in sorted(() if is_input else (required - required_now) & after.keys()):
            yield f"{where}.{name} can now be missing."
        for name in sorted(before.keys() & after.keys()):
            yield from self._compare(before[name], after[name], f"{where}.{name}", is_input=is_input)
        if is_input and old.get("additionalProperties", True) is not False and new.get("additionalProperties") is False:
            yield f"{where} no longer accepts unknown fields."


def _type_change(old: Schema, new: Schema, *, is_input: bool) -> str:
    before, after = _type(old), _type(new)
    narrow, wide = (before, after) if is_input else (after, before)
    if narrow == wide or not wide or (narrow, wide) == ("integer", "number"):
        return ""
    return f"was {before or 'anything'} and is {after or 'anything'}"


def _type(schema: Schema) -> str:
    """The type; the type of the values when the schema only lists values."""
    if "type" in schema:
        return str(schema["type"])
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    kinds = {names.get(type(value), "") for value in values}
    return kinds.pop() if len(kinds) == 1 else ""


def _values(old: Schema, new: Schema, *, is_input: bool) -> Iterator[str]:
    before, after = _enumerated(old), _enumerated(new)
    if is_input and after is not None:
        removed = "some values" if before is None else ", ".join(repr(value) for value in before if value not in after)
        if removed:
            yield f"no longer accepts {removed}"
    if not is_input and before is not None:
        added = "anything" if after is None else ", ".join(repr(value) for value in after if value not in before)
        if added:
            yield f"can now be {added}"
    for name in ("pattern", "format"):
        if old.get(name) != new.get(name) and (new.get(name) if is_input else old.get(name)):
            yield f"has another {name}"


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _limits(old: Schema, new: Schema) -> Iterator[str]:
    for name in LOWER_BOUNDS:
        if name in new and (name not in old or new[name] > old[name]):
            yield f"has a higher {name}: {new[name]}"
    for name in UPPER_BOUNDS:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"has a lower {name}: {new[name]}"


def _schema_name(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("const") or _type(schema) or "anything")
