"""The class for a table that is there, in Tortoise's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanicbase.cli.adding.fromtable.existing import Existing
from sanicbase.cli.adding.fromtable.fields import Body
from sanicbase.cli.adding.fromtable.lines import entry, literal, sets
from sanicbase.cli.adding.fromtable.shape import shape_of
from sanicbase.i18n import gettext as _
from sanicbase.migrations.introspection import IndexInfo

__all__ = ["Made", "model_of"]


@dataclass(frozen=True)
class Made:
    """A model's class, what it needs to be imported, and what has to be said about it."""

    source: str
    imports: frozenset[tuple[str, str]]
    told: tuple[str, ...]
    """A sentence for each thing that is in the table and not in the model, or would be made otherwise by it."""


def model_of(existing: Existing, name: str, things: str, module: str, *, migrated: bool, quoted: bool) -> Made:
    """The class of that name for the table, to be written into the module.

    `quoted` when the module evaluates its annotations, in which a class is not known inside of itself. Raises
    ValueError with a sentence for a table that Tortoise can have no model for.
    """
    table = existing.table
    shape = shape_of(existing, name, migrated=migrated)
    body = Body(existing, shape, name, things, module, quoted=quoted)
    lines = [line for column in shape.columns.values() for line in body.lines(column)]
    meta = [f"table = {literal(table.name)}"]
    docstring = ""
    if _is_a_line(table.comment):
        docstring = f'    """{table.comment}"""\n\n'
    elif table.comment:
        meta += entry("table_description", literal(table.comment))
    meta += _together(body, [each for each in shape.indexes if not body.is_said(each)])
    source = f"class {name}(DBModel):\n{docstring}" + "".join(f"{line}\n" for line in lines)
    source += "\n    class Meta:\n" + "".join(f"        {line}\n" for line in meta)
    others = [each for each in table.indexes if each not in shape.indexes]
    return Made(source, frozenset(body.imports), (*shape.told, *body.told, *_unsaid(existing, others)))


def _is_a_line(comment: str) -> bool:
    """Whether a comment can be the class's docstring, which Tortoise takes for the table's comment."""
    return bool(re.fullmatch(r"[^\s\"\\](?:[^\n\r\"\\]{0,100}[^\s\"\\])?", comment)) and comment.isprintable()


def _together(body: Body, indexes: Sequence[IndexInfo]) -> Iterator[str]:
    """The lines of Meta about unique sets and indexes."""
    for option, unique in (("unique_together", True), ("indexes", False)):
        found = [[body.shape.names[name] for name in each.columns] for each in indexes if each.unique == unique]
        if found:
            yield from entry(option, sets(found))


def _unsaid(existing: Existing, others: Sequence[IndexInfo]) -> Iterator[str]:
    """What the database has beyond what Tortoise has words for."""
    table = existing.table
    for index in others:
        columns = ", ".join(index.columns)
        kind = _("unique index") if index.unique else _("index")
        yield _(
            "The {kind} {index} on ({columns}) is not in the model, for Tortoise has no word for it. The database "
            "keeps it.",
            kind=kind,
            index=index.name,
            columns=columns,
        )
    if table.checks:
        listed = "; ".join(table.checks)
        yield _("What the database checks is not in the model: {checks}.", checks=listed)
