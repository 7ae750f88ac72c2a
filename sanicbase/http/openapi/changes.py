"""Which changes of a document break its clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sanicbase.http.openapi.comparison import Comparison, Schema, resolved

__all__ = ["breaking_changes"]


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """What a client that was written for the old document cannot do or understand any more, a sentence each.

    Broken is: an operation, an answer or a field of it that is gone; an input that is newly required, or takes less;
    an answer that may be more than it was. Texts, examples and names of schemas may change.
    """
    return list(_Documents(old, new).broken())


class _Documents:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._compare = Comparison(old, new)

    def broken(self) -> Iterator[str]:
        for path, methods in self._old.get("paths", {}).items():
            there = self._new.get("paths", {}).get(path)
            if there is None:
                yield f"{path} is gone."
                continue
            for method, operation in methods.items():
                where = f"{method.upper()} {path}"
                if method not in there:
                    yield f"{where} is gone."
                else:
                    yield from self._operation(operation, there[method], where)

    def _operation(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        yield from self._parameters(old, new, where)
        yield from self._body(old.get("requestBody", {}), new.get("requestBody", {}), where)
        yield from self._answers(old.get("responses", {}), new.get("responses", {}), where)
        if new.get("security") and {} not in new["security"] and not _closed(old):
            yield f"{where} wants to know who asks."

    def _parameters(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = _by_place(old), _by_place(new)
        for key, parameter in before.items():
            place = f"{where}: the {key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{place} is gone."
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{place} is required now."
            yield from self._compare.taken(parameter.get("schema", {}), after[key].get("schema", {}), place)
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield f"{where}: the {key[0]} parameter {key[1]} is new and required."

    def _body(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where}: the body is required now."
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: the body is not taken as {kind} any more."
            else:
                yield from self._compare.taken(
                    content.get("schema", {}), new["content"][kind].get("schema", {}), f"{where}: body"
                )

    def _answers(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        for status, answer in old.items():
            if not status.startswith("2"):
                continue
            place = f"{where}: {status}"
            if status not in new:
                yield f"{place} is gone."
                continue
            before, after = resolved(self._old, answer), resolved(self._new, new[status])
            for kind, content in before.get("content", {}).items():
                if kind not in after.get("content", {}):
                    yield f"{place} is not {kind} any more."
                else:
                    yield from self._compare.given(
                        content.get("schema", {}), after["content"][kind].get("schema", {}), place
                    )


def _closed(operation: Schema) -> bool:
    return bool(operation.get("security")) and {} not in operation["security"]


def _by_place(operation: Schema) -> dict[tuple[str, str], Any]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", ())}
