"""The changes of a document that break its clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sanicbase.http.openapi.comparison import Comparison, Schema, resolved

__all__ = ["breaking_changes"]


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """The changes that break a client of the old document, a sentence each.

    These are: an operation, a response or a response field was removed; an input is newly required or more restricted;
    a response can have new values. Texts, examples and names of schemas may change.
    """
    return list(_Documents(old, new).changes())


class _Documents:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._comparison = Comparison(old, new)

    def changes(self) -> Iterator[str]:
        for path, methods in self._old.get("paths", {}).items():
            methods_now = self._new.get("paths", {}).get(path)
            if methods_now is None:
                yield f"{path} was removed."
                continue
            for method, operation in methods.items():
                where = f"{method.upper()} {path}"
                if method not in methods_now:
                    yield f"{where} was removed."
                else:
                    yield from self._operation(operation, methods_now[method], where)

    def _operation(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        yield from self._parameters(old, new, where)
        yield from self._body(old.get("requestBody", {}), new.get("requestBody", {}), where)
        yield from self._responses(old.get("responses", {}), new.get("responses", {}), where)
        if new.get("security") and {} not in new["security"] and not _is_protected(old):
            yield f"{where} requires authentication now."

    def _parameters(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before, after = _by_location(old), _by_location(new)
        for key, parameter in before.items():
            place = f"{where}: the {key[0]} parameter {key[1]}"
            if key not in after:
                yield f"{place} was removed."
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield f"{place} is required now."
            yield from self._comparison.input_changes(parameter.get("schema", {}), after[key].get("schema", {}), place)
        for key, parameter in after.items():
            if key not in before and parameter.get("required"):
                yield f"{where}: the {key[0]} parameter {key[1]} is new and required."

    def _body(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where}: the body is required now."
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: the body is no longer accepted as {kind}."
            else:
                yield from self._comparison.input_changes(
                    content.get("schema", {}), new["content"][kind].get("schema", {}), f"{where}: body"
                )

    def _responses(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        for status, response in old.items():
            if not status.startswith("2"):
                continue
            place = f"{where}: {status}"
            if status not in new:
                yield f"{place} was removed."
                continue
            before, after = resolved(self._old, response), resolved(self._new, new[status])
            for kind, content in before.get("content", {}).items():
                if kind not in after.get("content", {}):
                    yield f"{place} is no longer returned as {kind}."
                else:
                    yield from self._comparison.output_changes(
                        content.get("schema", {}), after["content"][kind].get("schema", {}), place
                    )


def _is_protected(operation: Schema) -> bool:
    return bool(operation.get("security")) and {} not in operation["security"]


def _by_location(operation: Schema) -> dict[tuple[str, str], Any]:
    return {(parameter["in"], parameter["name"]): parameter for parameter in operation.get("parameters", ())}
