"""The registry of watchers: who is notified of writes to which models.

A watcher is notified of a write before other connections can see it, and of the end of its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from tortoise import Tortoise
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.models import Model

from sanicbase.db.keys import attributes

__all__ = [
    "Row",
    "Watcher",
    "Write",
    "is_changed_on_delete",
    "is_deletion_watched",
    "is_watched",
    "open_models",
    "referencing_keys",
    "unwatch",
    "watch",
    "watched_columns",
    "watched_dependents",
    "watchers",
]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Write:
    """A write to rows of a model; `rows` is None when any row may be affected.

    Rows have the primary key, the unique columns, and the columns that watchers requested.
    """

    model: type[Model]
    rows: tuple[Row, ...] | None


class Watcher(Protocol):
    """Is notified of writes. An exception of `before_write` prevents the write; those after the end are logged."""

    async def before_write(self, write: Write) -> None:
        """Called before other connections can see the write."""

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Called before the commit, after all writes. An exception prevents the commit."""

    async def committed(self, writes: Sequence[Write]) -> None:
        """The transaction of these writes has committed."""

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        """The transaction of these writes was rolled back."""

    async def unknown(self, writes: Sequence[Write]) -> None:
        """The connection was lost during the commit, so its outcome is unknown."""


_watchers: dict[type[Model], tuple[Watcher, ...]] = {}
_columns: dict[type[Model], frozenset[str]] = {}  # requested by watchers


def watch(model: type[Model], watcher: Watcher, *, columns: Iterable[str] = ()) -> None:
    """Notify the watcher of every write to the model in this process from now on.

    Rows include these columns, before and after a write that changes one of them.
    """
    _watchers[model] = (*_watchers.get(model, ()), watcher)
    _columns[model] = _columns.get(model, frozenset()).union(attributes(model, columns))
    watched_dependents.cache_clear()


def unwatch(model: type[Model], watcher: Watcher) -> None:
    """Stop notifying the watcher of writes to the model."""
    others = tuple(other for other in _watchers.get(model, ()) if other is not watcher)
    if others:
        _watchers[model] = others
    else:
        _watchers.pop(model, None)
        _columns.pop(model, None)
    watched_dependents.cache_clear()


def is_watched(model: type[Model]) -> bool:
    """Whether the model has watchers; others cost nothing."""
    return model in _watchers


def is_deletion_watched(model: type[Model]) -> bool:
    """Whether a deletion concerns watchers, also by the rows that the database deletes with it."""
    return bool(_watchers) and (model in _watchers or bool(watched_dependents(model)))


def watchers(model: type[Model]) -> tuple[Watcher, ...]:
    """The watchers of the model."""
    return _watchers.get(model, ())


def watched_columns(model: type[Model]) -> frozenset[str]:
    """The columns that the watchers of the model requested."""
    return _columns.get(model, frozenset())


def is_changed_on_delete(field: Any) -> bool:
    """Whether the database changes the row when the referenced row is deleted."""
    return isinstance(field, ForeignKeyFieldInstance) and field.on_delete not in ("RESTRICT", "NO ACTION")


@cache
def watched_dependents(model: type[Model]) -> set[type[Model]]:
    """The watched models whose rows the database changes when rows of `model` are deleted.

    Cached until `cache_clear`, which opening a database calls.
    """
    dependents: set[type[Model]] = set()
    remaining, seen = [model], {model}
    while remaining:
        parent = remaining.pop()
        for child, field in referencing_keys(parent):
            if child in _watchers:
                dependents.add(child)
            if field.on_delete == "CASCADE" and child not in seen:
                seen.add(child)
                remaining.append(child)
    return dependents


def referencing_keys(parent: type[Model]) -> list[tuple[type[Model], Any]]:
    """The models and foreign keys through which deleting a row of `parent` changes rows."""
    fields: list[tuple[type[Model], Any]] = [
        (model, field) for model in open_models() for field in model._meta.fields_map.values()
    ]
    return [(model, field) for model, field in fields if is_changed_on_delete(field) and field.related_model is parent]


def open_models() -> list[type[Model]]:
    """The models of all open databases."""
    return [model for models in (Tortoise.apps or {}).values() for model in models.values()]
