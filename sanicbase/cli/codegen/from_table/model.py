"""Generates the class for an existing table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanicbase.cli.codegen.from_table.fields import FieldWriter
from sanicbase.cli.codegen.from_table.formatting import entry, literal, sets
from sanicbase.cli.codegen.from_table.mapping import map_table
from sanicbase.cli.codegen.from_table.source_table import SourceTable
from sanicbase.i18n import gettext as _
from sanicbase.migrations.introspection import IndexInfo

__all__ = ["GeneratedModel", "generate_model"]


@dataclass(frozen=True)
class GeneratedModel:
    """The class of a model, its imports, and notes about it."""

    source: str
    imports: frozenset[tuple[str, str]]
    notes: tuple[str, ...]
    """A sentence for each part of the table that the model does not have or would create differently."""


def generate_model(
    existing: SourceTable, name: str, things: str, module: str, *, migrated: bool, quoted: bool
) -> GeneratedModel:
    """The class of that name for the table, to be added to the module.

    `quoted` when the module evaluates its annotations, where a class cannot refer to itself. Raises ValueError with a
    sentence for a table that Tortoise does not support.
    """
    table = existing.table
    shape = map_table(existing, name, migrated=migrated)
    body = FieldWriter(existing, shape, name, things, module, quoted=quoted)
    lines = [line for column in shape.columns.values() for line in body.lines(column)]
    meta = [f"table = {literal(table.name)}"]
    docstring = ""
    if _is_docstring(table.comment):
        docstring = f'    """{table.comment}"""\n\n'
    elif table.comment:
        meta += entry("table_description", literal(table.comment))
    meta += _meta_options(body, [index for index in shape.indexes if not body.is_declared(index)])
    source = f"class {name}(DBModel):\n{docstring}" + "".join(f"{line}\n" for line in lines)
    source += "\n    class Meta:\n" + "".join(f"        {line}\n" for line in meta)
    others = [index for index in table.indexes if index not in shape.indexes]
    return GeneratedModel(source, frozenset(body.imports), (*shape.notes, *body.notes, *_notes(existing, others)))


def _is_docstring(comment: str) -> bool:
    """Whether the comment can be the docstring of the class, which Tortoise uses as the table's comment."""
    return bool(re.fullmatch(r"[^\s\"\\](?:[^\n\r\"\\]{0,100}[^\s\"\\])?", comment)) and comment.isprintable()


def _meta_options(body: FieldWriter, indexes: Sequence[IndexInfo]) -> Iterator[str]:
    """The lines of Meta for unique sets and indexes."""
    for option, unique in (("unique_together", True), ("indexes", False)):
        names = [[body.shape.names[name] for name in index.columns] for index in indexes if index.unique == unique]
        if names:
            yield from entry(option, sets(names))


def _notes(existing: SourceTable, others: Sequence[IndexInfo]) -> Iterator[str]:
    """The parts of the table that Tortoise does not support."""
    table = existing.table
    for index in others:
        columns = ", ".join(index.columns)
        kind = _("unique index") if index.unique else _("index")
        yield _(
            "The {kind} {index} on ({columns}) is not in the model, because Tortoise does not support it. "
            "The database keeps it.",
            kind=kind,
            index=index.name,
            columns=columns,
        )
    if table.checks:
        listed = "; ".join(table.checks)
        yield _("The model does not have the database's checks: {checks}.", checks=listed)
