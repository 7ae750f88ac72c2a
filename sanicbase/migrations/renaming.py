"""Whether what is gone and what is new are one thing with another name. It is asked, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import click

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.schema.changes import Renames
from sanicbase.migrations.schema.tables import Column, Schema, Table

__all__ = ["Answers", "Ask", "ask_at_terminal", "renames_between"]

ALIKE = 0.5  # of the columns of two tables, for the one to be perhaps the other


class Ask(Protocol):
    """Somebody who can be asked whether `old` is `new` now; both are tables, or columns as `table.column`."""

    def __call__(self, old: str, new: str) -> bool: ...


@dataclass(frozen=True)
class Answers:
    """What was said beforehand: `renames` as `{"goods": "product", "product.title": "name"}`, and what is `dropped`."""

    renames: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()


def ask_at_terminal(old: str, new: str) -> bool:
    """Ask whoever runs the command; raises click.Abort where nobody answers."""
    return click.confirm(
        _("{old} is gone and {new} is new. Rename {old} to {new}? (no: the rows of {old} are lost)", old=old, new=new),
        default=True,
    )


def renames_between(old: Schema, new: Schema, answers: Answers, ask: Ask | None) -> Renames:
    """What has another name in the new tables.

    Raises MigrationError when it must be asked and there is nobody to ask, or when an answer names what is not there.
    """
    questions = _Questions(answers, ask)
    tables = questions.tables(old, new)
    columns = {
        (name, was): now
        for before in old.values()
        if (name := tables.get(before.name, before.name)) in new
        for was, now in questions.columns(before, new[name], tables).items()
    }
    questions.refuse_unused()
    questions.refuse_open()
    return Renames(tables, columns)


class _Questions:
    def __init__(self, answers: Answers, ask: Ask | None) -> None:
        self._answers = answers
        self._ask = ask
        self._open: list[tuple[str, str]] = []
        self._used: set[str] = set()

    def tables(self, old: Schema, new: Schema) -> dict[str, str]:
        gone = {name: table for name, table in old.items() if name not in new and table.model}
        come = {name: table for name, table in new.items() if name not in old and table.model}
        found = self._pairs("", {one: list(_candidates(table, come)) for one, table in gone.items()}, come)
        return {**found, **_between(old, new, found)}

    def columns(self, before: Table, new: Table, tables: Mapping[str, str]) -> dict[str, str]:
        if not new.model:
            return _ends(before, new, tables)
        names = {column.name for column in new.columns}
        there = {column.name for column in before.columns}
        come = {column.name: column for column in new.columns if column.name not in there}
        gone = [column for column in before.columns if column.name not in names]
        alike = {column.name: [one for one, now in come.items() if _alike(column, now)] for column in gone}
        return self._pairs(f"{new.name}.", alike, come)

    def refuse_unused(self) -> None:
        said = {*self._answers.renames, *self._answers.dropped}
        if unused := sorted(said - self._used):
            names = ", ".join(unused)
            raise MigrationError(
                _(
                    "{names} is not gone from the models, or nothing new is there to be it. Name what the last "
                    "migration has and the models have not: table, or table.column with the table's name of today.",
                    names=names,
                )
            )

    def refuse_open(self) -> None:
        if self._open:
            old, new = self._open[0]
            raise MigrationError(
                _(
                    "{old} is gone and {new} is new: renamed, or another one? As another one it loses its rows. Say "
                    "which, at a terminal or by: sanicGuider migrate make --rename {old}:{new}  or  --drop {old}",
                    old=old,
                    new=new,
                )
            )

    def _pairs(self, prefix: str, gone: Mapping[str, list[str]], come: Mapping[str, object]) -> dict[str, str]:
        found: dict[str, str] = {}
        for was, candidates in gone.items():
            name = prefix + was
            if now := self._answers.renames.get(name):
                now = now.removeprefix(prefix)
                if now in come:
                    self._used.add(name)
                    found[was] = now
            elif name in self._answers.dropped:
                self._used.add(name)
            else:
                free = [each for each in candidates if each not in found.values()]
                if now := self._asked(name, prefix, free):
                    found[was] = now
        return found

    def _asked(self, name: str, prefix: str, candidates: list[str]) -> str | None:
        if self._ask is None:
            self._open += [(name, prefix + now) for now in candidates[:1]]
            return None
        return next((now for now in candidates if self._ask(name, prefix + now)), None)


def _candidates(table: Table, come: Mapping[str, Table]) -> Iterator[str]:
    """New tables that are much like the one that is gone, the most alike first."""
    shapes = {(column.name, column.type) for column in table.columns}
    alike = {
        name: len(shapes & {(column.name, column.type) for column in other.columns})
        / max(len(shapes), len(other.columns))
        for name, other in come.items()
    }
    yield from sorted((name for name, share in alike.items() if share >= ALIKE), key=lambda name: -alike[name])


def _alike(old: Column, new: Column) -> bool:
    return (old.type, old.generated) == (new.type, new.generated)


def _between(old: Schema, new: Schema, tables: Mapping[str, str]) -> dict[str, str]:
    """Tables between two models, which have another name because a model has one."""
    gone = {name: table for name, table in old.items() if name not in new and not table.model}
    come = {name: table for name, table in new.items() if name not in old and not table.model}
    found: dict[str, str] = {}
    for was, table in gone.items():
        ends = sorted(tables.get(key.table, key.table) for key in table.foreign_keys)
        same = [name for name, other in come.items() if sorted(key.table for key in other.foreign_keys) == ends]
        moved = any(key.table in tables for key in table.foreign_keys)
        if ends and moved and len(same) == 1 and same[0] not in found.values():
            found[was] = same[0]
    return found


def _ends(before: Table, new: Table, tables: Mapping[str, str]) -> dict[str, str]:
    """The columns of a table between two models by what they refer to; of a table that refers to itself, in order."""
    names = {key.column for key in new.foreign_keys} & {key.column for key in before.foreign_keys}
    found: dict[str, str] = {}
    for key in before.foreign_keys:
        target = tables.get(key.table, key.table)
        same = [each.column for each in new.foreign_keys if each.table == target and each.column not in names]
        free = [column for column in same if column not in found.values()]
        if key.column not in names and free:
            found[key.column] = free[0]
    return found
