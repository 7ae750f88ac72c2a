"""Detects renames between two states of tables. The user is asked about each; nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.schema.changes import Renames
from sanicbase.migrations.schema.tables import Column, Schema, Table

__all__ = ["Ask", "RenameAnswers", "ask_at_terminal", "detect_renames"]

ALIKE = 0.5  # the share of equal columns at which two tables may be the same


class Ask(Protocol):
    """Asks whether `old` was renamed to `new`; both are tables, or columns as `table.column`."""

    def __call__(self, old: str, new: str) -> bool: ...


@dataclass(frozen=True)
class RenameAnswers:
    """The answers from options: `renames` as `{"goods": "product", "product.title": "name"}`, and `dropped` names."""

    renames: Mapping[str, str] = field(default_factory=dict)
    dropped: Sequence[str] = ()


def ask_at_terminal(old: str, new: str) -> bool:
    """Ask in the terminal; raises click.Abort without an answer."""
    import click  # services import this module and never ask

    return click.confirm(
        _(
            "{old} was removed and {new} was added. Rename {old} to {new}? (no: the data of {old} is lost)",
            old=old,
            new=new,
        ),
        default=True,
    )


def detect_renames(old: Schema, new: Schema, answers: RenameAnswers, ask: Ask | None) -> Renames:
    """The renames between two states.

    Raises MigrationError when a question cannot be asked, or when an answer contains an unknown name.
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
    def __init__(self, answers: RenameAnswers, ask: Ask | None) -> None:
        self._answers = answers
        self._ask = ask
        self._open: list[tuple[str, str]] = []
        self._used: set[str] = set()

    def tables(self, old: Schema, new: Schema) -> dict[str, str]:
        removed = {name: table for name, table in old.items() if name not in new and table.model}
        added = {name: table for name, table in new.items() if name not in old and table.model}
        renames = self._pairs("", {name: list(_candidates(table, added)) for name, table in removed.items()}, added)
        return {**renames, **_renamed_join_tables(old, new, renames)}

    def columns(self, before: Table, new: Table, tables: Mapping[str, str]) -> dict[str, str]:
        if not new.model:
            return _renamed_join_columns(before, new, tables)
        names = {column.name for column in new.columns}
        old_names = {column.name for column in before.columns}
        added = {column.name: column for column in new.columns if column.name not in old_names}
        removed = [column for column in before.columns if column.name not in names]
        candidates = {old.name: [name for name, column in added.items() if _alike(old, column)] for old in removed}
        return self._pairs(f"{new.name}.", candidates, added)

    def refuse_unused(self) -> None:
        answered = {*self._answers.renames, *self._answers.dropped}
        if unused := sorted(answered - self._used):
            names = ", ".join(unused)
            raise MigrationError(
                _(
                    "{names} was not removed from the models, or nothing was added that matches it. Specify what "
                    "the last migration has and the models do not: table, or table.column with the current name of "
                    "the table.",
                    names=names,
                )
            )

    def refuse_open(self) -> None:
        if self._open:
            old, new = self._open[0]
            raise MigrationError(
                _(
                    "{old} was removed and {new} was added. Is it a rename? Otherwise the data of {old} is lost. "
                    "Answer in a terminal, or with: sanicGuider migrate make --rename {old}:{new}  or  --drop {old}",
                    old=old,
                    new=new,
                )
            )

    def _pairs(self, prefix: str, removed: Mapping[str, list[str]], added: Mapping[str, object]) -> dict[str, str]:
        renames: dict[str, str] = {}
        for old, candidates in removed.items():
            name = prefix + old
            if new := self._answers.renames.get(name):
                new = new.removeprefix(prefix)
                if new in added:
                    self._used.add(name)
                    renames[old] = new
            elif name in self._answers.dropped:
                self._used.add(name)
            else:
                free = [candidate for candidate in candidates if candidate not in renames.values()]
                if new := self._confirmed(name, prefix, free):
                    renames[old] = new
        return renames

    def _confirmed(self, name: str, prefix: str, candidates: list[str]) -> str | None:
        if self._ask is None:
            self._open += [(name, prefix + candidate) for candidate in candidates[:1]]
            return None
        return next((candidate for candidate in candidates if self._ask(name, prefix + candidate)), None)


def _candidates(table: Table, added: Mapping[str, Table]) -> Iterator[str]:
    """The new tables that are similar to the removed one, the most similar first."""
    shapes = {(column.name, column.type) for column in table.columns}
    alike = {
        name: len(shapes & {(column.name, column.type) for column in other.columns})
        / max(len(shapes), len(other.columns))
        for name, other in added.items()
    }
    yield from sorted((name for name, share in alike.items() if share >= ALIKE), key=lambda name: -alike[name])


def _alike(old: Column, new: Column) -> bool:
    return (old.type, old.generated) == (new.type, new.generated)


def _renamed_join_tables(old: Schema, new: Schema, tables: Mapping[str, str]) -> dict[str, str]:
    """Tables of many-to-many relations that are renamed because a model is."""
    removed = {name: table for name, table in old.items() if name not in new and not table.model}
    added = {name: table for name, table in new.items() if name not in old and not table.model}
    renames: dict[str, str] = {}
    for old_name, table in removed.items():
        ends = sorted(tables.get(key.table, key.table) for key in table.foreign_keys)
        matching = [name for name, other in added.items() if sorted(key.table for key in other.foreign_keys) == ends]
        moved = any(key.table in tables for key in table.foreign_keys)
        if ends and moved and len(matching) == 1 and matching[0] not in renames.values():
            renames[old_name] = matching[0]
    return renames


def _renamed_join_columns(before: Table, new: Table, tables: Mapping[str, str]) -> dict[str, str]:
    """The columns of a many-to-many table by the tables that they reference; in order if both are the same."""
    names = {key.column for key in new.foreign_keys} & {key.column for key in before.foreign_keys}
    renames: dict[str, str] = {}
    for key in before.foreign_keys:
        target = tables.get(key.table, key.table)
        matching = [
            new_key.column for new_key in new.foreign_keys if new_key.table == target and new_key.column not in names
        ]
        free = [column for column in matching if column not in renames.values()]
        if key.column not in names and free:
            renames[key.column] = free[0]
    return renames
