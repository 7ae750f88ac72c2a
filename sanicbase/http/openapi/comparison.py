"""Compares two versions of a schema: whether the new one still takes, or still returns, what the old one did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Comparison", "Schema", "resolved"]

Schema = dict[str, Any]

LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def resolved(document: Schema, part: Schema) -> Schema:
    """The part to which a reference leads."""
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
        self._open: set[tuple[str, str, bool]] = set()

    def taken(self, old: Schema, new: Schema, where: str) -> list[str]:
        """The values that the old schema takes and the new one does not."""
        return list(self._compare(old, new, where, taken=True))

    def given(self, old: Schema, new: Schema, where: str) -> list[str]:
        """The values that the new schema returns and the old one does not, and the other way round."""
        return list(self._compare(old, new, where, taken=False))

    def _compare(self, old: Schema, new: Schema, where: str, *, taken: bool) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""), taken)
        if all(pair[:2]):
            if pair in self._open:  # a schema that contains itself
                return
            self._open.add(pair)
        before, after = self._choices(self._old, old), self._choices(self._new, new)
        if len(before) == len(after) == 1:
            yield from self._single(before[0], after[0], where, taken=taken)
        elif taken:
            yield from self._choice(before, after, where, taken=True)
        else:
            yield from self._choice(after, before, where, taken=False)
        self._open.discard(pair)

    def _choices(self, document: Schema, schema: Schema) -> list[Schema]:
        schema = resolved(document, schema)
        if isinstance(kinds := schema.get("type"), list):
            return [{**schema, "type": kind} for kind in kinds]
        parts = schema.get("anyOf") or schema.get("oneOf")
        return [choice for part in parts for choice in self._choices(document, part)] if parts else [schema]

    def _choice(self, each_of: list[Schema], one_of: list[Schema], where: str, *, taken: bool) -> Iterator[str]:
        """Each choice of `each_of` must agree with one of `one_of`: old ones are taken, new ones are given."""
        for this in each_of:
            pairs = [(this, other) if taken else (other, this) for other in one_of]
            if all(any(self._single(old, new, where, taken=taken)) for old, new in pairs):
                yield f"{where} {'no longer accepts' if taken else 'can now be'} {_named(this)}."

    def _single(self, old: Schema, new: Schema, where: str, *, taken: bool) -> Iterator[str]:
        if problem := _kind(old, new, taken=taken):
            yield f"{where} {problem}."
            return
        yield from (f"{where} {problem}." for problem in _values(old, new, taken=taken))
        if taken:
            yield from (f"{where} {problem}." for problem in _limits(old, new))
        if "properties" in old or "properties" in new:
            yield from self._fields(old, new, where, taken=taken)
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
                yield from self._compare(old[name], new[name], f"{where}[]", taken=taken)

    def _fields(self, old: Schema, new: Schema, where: str, *, taken: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(before.keys() - after.keys()):
            yield f"{where}.{name} was removed."
        for name in sorted((must_now - must) if taken else ()):
            yield f"{where}.{name} is {'required now' if name in before else 'new and required'}."
        for name in sorted(() if taken else (must - must_now) & after.keys()):
            yield f"{where}.{name} can now be missing."
        for name in sorted(before.keys() & after.keys()):
            yield from self._compare(before[name], after[name], f"{where}.{name}", taken=taken)
        if taken and old.get("additionalProperties", True) is not False and new.get("additionalProperties") is False:
            yield f"{where} no longer accepts unknown fields."


def _kind(old: Schema, new: Schema, *, taken: bool) -> str:
    before, after = _type(old), _type(new)
    narrow, wide = (before, after) if taken else (after, before)
    if narrow == wide or not wide or (narrow, wide) == ("integer", "number"):
        return ""
    return f"was {before or 'anything'} and is {after or 'anything'}"


def _type(schema: Schema) -> str:
    """The type, of a schema that says its values only the type of these."""
    if "type" in schema:
        return str(schema["type"])
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    kinds = {names.get(type(value), "") for value in values}
    return kinds.pop() if len(kinds) == 1 else ""


def _values(old: Schema, new: Schema, *, taken: bool) -> Iterator[str]:
    before, after = _enumerated(old), _enumerated(new)
    if taken and after is not None:
        gone = "some values" if before is None else ", ".join(repr(value) for value in before if value not in after)
        if gone:
            yield f"no longer accepts {gone}"
    if not taken and before is not None:
        more = "anything" if after is None else ", ".join(repr(value) for value in after if value not in before)
        if more:
            yield f"can now be {more}"
    for name in ("pattern", "format"):
        if old.get(name) != new.get(name) and (new.get(name) if taken else old.get(name)):
            yield f"has another {name}"


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _limits(old: Schema, new: Schema) -> Iterator[str]:
    for name in LEAST:
        if name in new and (name not in old or new[name] > old[name]):
            yield f"has a higher {name}: {new[name]}"
    for name in MOST:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"has a lower {name}: {new[name]}"


def _named(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("const") or _type(schema) or "anything")
