"""What a statement does to tables, read from its text. What is not understood is left out, and never refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.migrations.checking.actions import (
    Action,
    AddColumn,
    AddIndex,
    AlterColumn,
    Column,
    CopyRows,
    CreateTable,
    DropColumn,
    DropTable,
    FillColumns,
    KeepRows,
    RenameColumn,
    RenameTable,
    SetTimeout,
    Touch,
)
from sanicbase.migrations.checking.words import UnreadError, Words, words_of
from sanicbase.migrations.statements import Dialect

__all__ = ["actions_of"]

CONSTRAINTS = {
    "CHECK", "CONSTRAINT", "EXCLUDE", "FOREIGN", "FULLTEXT", "INDEX", "KEY", "LIKE", "PERIOD", "PRIMARY", "SPATIAL",
    "UNIQUE",
}  # fmt: skip
"""What a part of a table begins with that is no column."""
SERIALS = {"SERIAL", "BIGSERIAL", "SMALLSERIAL"}
COUNTED = {"AUTO_INCREMENT", "AUTOINCREMENT", "GENERATED", "AS"}
TIMEOUTS = {"LOCK_TIMEOUT", "LOCK_WAIT_TIMEOUT"}


def actions_of(statement: str, dialect: Dialect) -> list[Action]:
    """What the statement does, in order; nothing for a statement that is not understood."""
    words = words_of(statement, dialect)
    try:
        return list(_read(words))
    except (UnreadError, IndexError):
        return []


def _read(words: Words) -> Iterator[Action]:
    match words.one_of("CREATE", "ALTER", "DROP", "RENAME", "INSERT", "UPDATE", "SET"):
        case "CREATE":
            yield from _create(words)
        case "ALTER":
            yield from _alter(words)
        case "DROP":
            words.expect("TABLE")
            words.skip("IF", "EXISTS")
            yield from (DropTable(part.name()) for part in words.parts())
        case "RENAME":
            words.expect("TABLE")
            for part in words.parts():
                old = part.name()
                part.expect("TO")
                yield RenameTable(old, part.name())
        case "INSERT":
            yield from _insert(words)
        case "UPDATE":
            yield from _update(words)
        case "SET" if set(words.rest()) & TIMEOUTS:
            yield SetTimeout()


def _create(words: Words) -> Iterator[Action]:
    words.one_of("GLOBAL", "LOCAL", "UNLOGGED")
    temporary = words.one_of("TEMPORARY", "TEMP")
    kind = words.one_of("UNIQUE", "FULLTEXT", "SPATIAL")
    if words.skip("INDEX"):
        yield _create_index(words, unique=kind == "UNIQUE")
        return
    words.expect("TABLE")
    exists_ok = words.skip("IF", "NOT", "EXISTS")
    table = words.name()
    if temporary:
        return
    if not words.next_is("("):
        words.skip("AS")
        yield from _kept(words)
        return
    columns, uniques = [], []
    for part in words.elements():
        if part.rest()[0] in CONSTRAINTS:
            uniques += _unique(part)
        else:
            columns.append(_column(part))
    uniques += [(column.name,) for column in columns if column.unique]
    yield CreateTable(table, tuple(columns), tuple(uniques), exists_ok)


def _create_index(words: Words, *, unique: bool) -> AddIndex:
    beside = words.skip("CONCURRENTLY")
    words.skip("IF", "NOT", "EXISTS")
    if not words.next_is("ON"):
        words.name()
    if words.skip("USING"):  # of MySQL, before ON
        words.name()
    words.expect("ON")
    words.skip("ONLY")
    table = words.name()
    if words.skip("USING"):
        words.name()
    columns = _names(words.elements())
    rest = words.rest()
    plain = unique and "WHERE" not in rest
    return AddIndex(table, columns, unique=plain, beside=beside or _lets_write(rest))


def _lets_write(words: Sequence[str]) -> bool:
    return "LOCK=NONE" in "".join(words)


def _names(elements: list[Words]) -> tuple[str, ...]:
    """The columns of an index; an expression as nothing."""
    names = []
    for element in elements:
        try:
            name = element.name()
        except UnreadError:
            name = ""
        names.append("" if element.next_is("(") else name)
    return tuple(names)


def _unique(part: Words) -> list[tuple[str, ...]]:
    """The columns of a unique constraint, or of none."""
    if part.skip("CONSTRAINT") and not part.next_is("UNIQUE"):
        part.name()
    if not part.skip("UNIQUE"):
        return []
    part.one_of("KEY", "INDEX")
    if not part.next_is("("):
        part.name()
    return [_names(part.elements())]


def _column(words: Words) -> Column:
    name = words.name()
    kind = words.type()
    rest = words.rest()
    first = kind.upper().partition(" ")[0]
    key = _holds(rest, "PRIMARY", "KEY")
    counted = first in SERIALS or bool(COUNTED & set(rest)) or (key and first == "INTEGER")
    value = rest[rest.index("DEFAULT") + 1 :][:1] if "DEFAULT" in rest else []
    return Column(
        name=name,
        type=kind,
        null=not (_holds(rest, "NOT", "NULL") or key or first in SERIALS),
        default=bool(value) and value != ["NULL"],
        generated=counted,
        unique="UNIQUE" in rest,
    )


def _holds(words: Sequence[str], *wanted: str) -> bool:
    return any(tuple(words[place : place + len(wanted)]) == wanted for place in range(len(words)))


def _alter(words: Words) -> Iterator[Action]:
    words.expect("TABLE")
    words.skip("IF", "EXISTS")
    words.skip("ONLY")
    table = words.name()
    beside = _lets_write(words.rest())
    for part in words.parts():
        yield from _change(table, part, beside=beside)


def _change(table: str, part: Words, *, beside: bool) -> Iterator[Action]:
    match part.one_of("ADD", "DROP", "RENAME", "ALTER", "MODIFY", "CHANGE"):
        case "ADD":
            yield from _add(table, part, beside=beside)
        case "DROP":
            yield from _drop(table, part)
        case "RENAME":
            yield _rename(table, part)
        case "ALTER":
            part.skip("COLUMN")
            yield _alter_column(table, part.name(), part)
        case "MODIFY" | "CHANGE" as verb:
            part.skip("COLUMN")
            part.skip("IF", "EXISTS")
            old = part.name() if verb == "CHANGE" else ""
            column = _column(part)
            yield AlterColumn(table, old or column.name, column.type, column.null, column.default)
            if old and old != column.name:
                yield RenameColumn(table, old, column.name)
        case _ if part.rest() and not part.rest()[0].startswith(("ALGORITHM", "LOCK")):
            yield Touch(table)


def _add(table: str, part: Words, *, beside: bool) -> Iterator[Action]:
    if not part.skip("COLUMN") and part.rest()[0] in CONSTRAINTS:
        yield _add_constraint(table, part, beside=beside)
        return
    part.skip("IF", "NOT", "EXISTS")
    several = part.elements() if part.next_is("(") else [part]
    for each in several:
        column = _column(each)
        yield AddColumn(table, column)
        if column.unique:
            yield AddIndex(table, (column.name,), unique=True, constraint=True)


def _add_constraint(table: str, part: Words, *, beside: bool) -> Action:
    if part.skip("CONSTRAINT") and part.rest()[0] not in CONSTRAINTS:
        part.name()
    kind = part.one_of("UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY", "INDEX", "KEY")
    if not kind:
        return Touch(table)
    part.one_of("KEY", "INDEX")
    while not part.ended and not part.next_is("("):
        if part.skip("USING", "INDEX"):
            return Touch(table)
        part.at += 1
    return AddIndex(table, _names(part.elements()), unique=kind == "UNIQUE", constraint=True, beside=beside)


def _drop(table: str, part: Words) -> Iterator[Action]:
    named = part.skip("COLUMN")
    if not named and part.rest()[0] in CONSTRAINTS:
        yield Touch(table)
        return
    part.skip("IF", "EXISTS")
    yield DropColumn(table, part.name())


def _rename(table: str, part: Words) -> Action:
    if part.one_of("TO", "AS"):
        return RenameTable(table, part.name())
    if part.one_of("CONSTRAINT", "INDEX", "KEY"):
        return Touch(table)
    part.skip("COLUMN")
    old = part.name()
    part.expect("TO")
    return RenameColumn(table, old, part.name())


def _alter_column(table: str, name: str, part: Words) -> Action:
    if part.skip("SET", "NOT", "NULL"):
        return AlterColumn(table, name, null=False)
    if part.skip("DROP", "NOT", "NULL"):
        return AlterColumn(table, name, null=True)
    if part.skip("DROP", "DEFAULT"):
        return AlterColumn(table, name, default=False)
    if part.skip("SET", "DEFAULT"):
        return AlterColumn(table, name, default=part.rest()[:1] != ["NULL"])
    part.skip("SET", "DATA")
    if part.skip("TYPE"):
        return AlterColumn(table, name, part.type())
    return Touch(table)


def _insert(words: Words) -> Iterator[Action]:
    words.expect("INTO")
    table = words.name()
    names = _names(words.elements()) if words.next_is("(") else ()
    start = words.at
    if words.skip("SELECT"):
        taken = words.until("FROM").parts()
        source = words.name()
        if names and len(taken) == len(names):
            columns = (_taken(name, value) for name, value in zip(names, taken, strict=True))
            yield CopyRows(table, source, tuple(columns))
            return
    words.at = start
    yield from _kept(words)


def _kept(words: Words) -> Iterator[Action]:
    """The first table that a SELECT reads."""
    if words.skip("SELECT"):
        words.until("FROM")
        yield KeepRows(words.name())


def _taken(name: str, value: Words) -> tuple[str, str, bool]:
    """`name`, `COALESCE(name, value)` or a value."""
    words = value.rest()
    if words == ["NULL"]:
        return name, "", False
    if value.skip("COALESCE"):
        try:
            first = value.elements()[0]
            return name, first.name(), True
        except UnreadError:
            return name, "", True
    try:
        source = value.name()
    except UnreadError:
        return name, "", True
    return (name, source, False) if value.ended else (name, "", True)


def _update(words: Words) -> Iterator[Action]:
    words.skip("ONLY")
    table = words.name()
    words.expect("SET")
    names = []
    for part in words.parts():
        column = part.name()
        if part.rest() and part.rest()[0].startswith("="):
            names.append(column.rpartition(".")[2])
        else:
            break
    yield FillColumns(table, tuple(names))
