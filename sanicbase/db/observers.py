"""Who must know of writes: watchers of models, and which writes concern them.

The registry is the process's. A watcher hears of a write before others can see it, and how its transaction ended.
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
    "changed_with",
    "children",
    "follows",
    "is_deletion_watched",
    "is_watched",
    "open_models",
    "unwatch",
    "watch",
    "watched_columns",
    "watchers",
]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Write:
    """A write to rows of a model. None is any row of the model.

    `rows` have the primary key, the unique columns, and those that watchers asked for.
    """

    model: type[Model]
    rows: tuple[Row, ...] | None


class Watcher(Protocol):
    """Who must know of writes. What `before_write` raises keeps the write from happening; what tells of an end only
    logs."""

    async def before_write(self, write: Write) -> None:
        """Before anybody else can see the write: it is not made yet, or not committed."""

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """The transaction makes no more writes, and commits next. What this raises refuses the commit."""

    async def committed(self, writes: Sequence[Write]) -> None:
        """The transaction of these writes has committed."""

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        """The transaction of these writes was rolled back: nothing has changed."""

    async def unknown(self, writes: Sequence[Write]) -> None:
        """The connection was lost during the commit: these writes have happened, or not."""


_watchers: dict[type[Model], tuple[Watcher, ...]] = {}
_columns: dict[type[Model], frozenset[str]] = {}  # that watchers asked for


def watch(model: type[Model], watcher: Watcher, *, columns: Iterable[str] = ()) -> None:
    """Tell the watcher of every write to the model from now on, in this process.

    Rows have these columns as well, before and after a write that changes one of them.
    """
    _watchers[model] = (*_watchers.get(model, ()), watcher)
    _columns[model] = _columns.get(model, frozenset()).union(attributes(model, columns))
    changed_with.cache_clear()


def unwatch(model: type[Model], watcher: Watcher) -> None:
    """Tell the watcher nothing more of the model."""
    left = tuple(one for one in _watchers.get(model, ()) if one is not watcher)
    if left:
        _watchers[model] = left
    else:
        _watchers.pop(model, None)
        _columns.pop(model, None)
    changed_with.cache_clear()


def is_watched(model: type[Model]) -> bool:
    """Whether anybody must know of writes to the model: nothing is paid where nobody does."""
    return model in _watchers


def is_deletion_watched(model: type[Model]) -> bool:
    """Whether anybody must know of deletions from the model, be it for what the database deletes with them."""
    return bool(_watchers) and (model in _watchers or bool(changed_with(model)))


def watchers(model: type[Model]) -> tuple[Watcher, ...]:
    """Those that are told of writes to the model."""
    return _watchers.get(model, ())


def watched_columns(model: type[Model]) -> frozenset[str]:
    """The columns that the watchers of the model asked for."""
    return _columns.get(model, frozenset())


def follows(field: Any) -> bool:
    """Whether the database itself changes the row when the one that this key leads to is deleted."""
    return isinstance(field, ForeignKeyFieldInstance) and field.on_delete not in ("RESTRICT", "NO ACTION")


@cache
def changed_with(model: type[Model]) -> set[type[Model]]:
    """The watched models of which the database changes rows when rows of `model` are deleted.

    Remembered until `cache_clear`, which is for whoever opens a database with other models.
    """
    found: set[type[Model]] = set()
    waiting, seen = [model], {model}
    while waiting:
        parent = waiting.pop()
        for child, field in children(parent):
            if child in _watchers:
                found.add(child)
            if field.on_delete == "CASCADE" and child not in seen:
                seen.add(child)
                waiting.append(child)
    return found


def children(parent: type[Model]) -> list[tuple[type[Model], Any]]:
    """The models whose rows the database changes with a deleted row of `parent`, and the foreign keys."""
    fields: list[tuple[type[Model], Any]] = [
        (model, field) for model in open_models() for field in model._meta.fields_map.values()
    ]
    return [(model, field) for model, field in fields if follows(field) and field.related_model is parent]


def open_models() -> list[type[Model]]:
    """The models of all open databases."""
    return [model for models in (Tortoise.apps or {}).values() for model in models.values()]
