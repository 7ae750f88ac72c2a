"""Parses the effects of a statement on tables. What it does not understand is omitted, never rejected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.migrations.checks.actions import (
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
    OtherChange,
    RenameColumn,
    RenameTable,
    SaveRows,
    SetTimeout,
)
from sanicbase.migrations.checks.tokens import ParseError, TokenReader, read_tokens
from sanicbase.migrations.statements import Dialect

__all__ = ["parse_actions"]

CONSTRAINTS = {
    "CHECK", "CONSTRAINT", "EXCLUDE", "FOREIGN", "FULLTEXT", "INDEX", "KEY", "LIKE", "PERIOD", "PRIMARY", "SPATIAL",
    "UNIQUE",
}  # fmt: skip
"""The first words of a table element that is not a column."""
SERIALS = {"SERIAL", "BIGSERIAL", "SMALLSERIAL"}
GENERATED = {"AUTO_INCREMENT", "AUTOINCREMENT", "GENERATED", "AS"}
TIMEOUTS = {"LOCK_TIMEOUT", "LOCK_WAIT_TIMEOUT"}


def parse_actions(statement: str, dialect: Dialect) -> list[Action]:
    """The effects of the statement in order; none if it is not understood."""
    reader = read_tokens(statement, dialect)
    try:
        return list(_read(reader))
    except (ParseError, IndexError):
        return []


def _read(reader: TokenReader) -> Iterator[Action]:
    match reader.one_of("CREATE", "ALTER", "DROP", "RENAME", "INSERT", "UPDATE", "SET"):
        case "CREATE":
            yield from _create(reader)
        case "ALTER":
            yield from _alter(reader)
        case "DROP":
            reader.expect("TABLE")
            reader.skip("IF", "EXISTS")
            yield from (DropTable(part.name()) for part in reader.parts())
        case "RENAME":
            reader.expect("TABLE")
            for part in reader.parts():
                old = part.name()
                part.expect("TO")
                yield RenameTable(old, part.name())
        case "INSERT":
            yield from _insert(reader)
        case "UPDATE":
            yield from _update(reader)
        case "SET" if set(reader.remaining()) & TIMEOUTS:
            yield SetTimeout()


def _create(reader: TokenReader) -> Iterator[Action]:
    reader.one_of("GLOBAL", "LOCAL", "UNLOGGED")
    temporary = reader.one_of("TEMPORARY", "TEMP")
    kind = reader.one_of("UNIQUE", "FULLTEXT", "SPATIAL")
    if reader.skip("INDEX"):
        yield _create_index(reader, unique=kind == "UNIQUE")
        return
    reader.expect("TABLE")
    if_not_exists = reader.skip("IF", "NOT", "EXISTS")
    table = reader.name()
    if temporary:
        return
    if not reader.next_is("("):
        reader.skip("AS")
        yield from _read_by_select(reader)
        return
    columns, uniques = [], []
    for part in reader.elements():
        if part.remaining()[0] in CONSTRAINTS:
            uniques += _unique(part)
        else:
            columns.append(_column(part))
    uniques += [(column.name,) for column in columns if column.unique]
    yield CreateTable(table, tuple(columns), tuple(uniques), if_not_exists)


def _create_index(reader: TokenReader, *, unique: bool) -> AddIndex:
    concurrent = reader.skip("CONCURRENTLY")
    reader.skip("IF", "NOT", "EXISTS")
    if not reader.next_is("ON"):
        reader.name()
    if reader.skip("USING"):  # MySQL's option before ON
        reader.name()
    reader.expect("ON")
    reader.skip("ONLY")
    table = reader.name()
    if reader.skip("USING"):
        reader.name()
    columns = _names(reader.elements())
    rest = reader.remaining()
    plain = unique and "WHERE" not in rest
    return AddIndex(table, columns, unique=plain, concurrent=concurrent or _is_online(rest))


def _is_online(reader: Sequence[str]) -> bool:
    return "LOCK=NONE" in "".join(reader)


def _names(elements: list[TokenReader]) -> tuple[str, ...]:
    """The columns of an index; an expression is an empty name."""
    names = []
    for element in elements:
        try:
            name = element.name()
        except ParseError:
            name = ""
        names.append("" if element.next_is("(") else name)
    return tuple(names)


def _unique(part: TokenReader) -> list[tuple[str, ...]]:
    """The columns of a unique constraint; none for other constraints."""
    if part.skip("CONSTRAINT") and not part.next_is("UNIQUE"):
        part.name()
    if not part.skip("UNIQUE"):
        return []
    part.one_of("KEY", "INDEX")
    if not part.next_is("("):
        part.name()
    return [_names(part.elements())]


def _column(reader: TokenReader) -> Column:
    name = reader.name()
    kind = reader.type()
    rest = reader.remaining()
    first = kind.upper().partition(" ")[0]
    key = _holds(rest, "PRIMARY", "KEY")
    counted = first in SERIALS or bool(GENERATED & set(rest)) or (key and first == "INTEGER")
    value = rest[rest.index("DEFAULT") + 1 :][:1] if "DEFAULT" in rest else []
    return Column(
        name=name,
        type=kind,
        null=not (_holds(rest, "NOT", "NULL") or key or first in SERIALS),
        default=bool(value) and value != ["NULL"],
        generated=counted,
        unique="UNIQUE" in rest,
    )


def _holds(reader: Sequence[str], *wanted: str) -> bool:
    return any(tuple(reader[start : start + len(wanted)]) == wanted for start in range(len(reader)))


def _alter(reader: TokenReader) -> Iterator[Action]:
    reader.expect("TABLE")
    reader.skip("IF", "EXISTS")
    reader.skip("ONLY")
    table = reader.name()
    concurrent = _is_online(reader.remaining())
    for part in reader.parts():
        yield from _change(table, part, concurrent=concurrent)


def _change(table: str, part: TokenReader, *, concurrent: bool) -> Iterator[Action]:
    match part.one_of("ADD", "DROP", "RENAME", "ALTER", "MODIFY", "CHANGE"):
        case "ADD":
            yield from _add(table, part, concurrent=concurrent)
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
        case _ if part.remaining() and not part.remaining()[0].startswith(("ALGORITHM", "LOCK")):
            yield OtherChange(table)


def _add(table: str, part: TokenReader, *, concurrent: bool) -> Iterator[Action]:
    if not part.skip("COLUMN") and part.remaining()[0] in CONSTRAINTS:
        yield _add_constraint(table, part, concurrent=concurrent)
        return
    part.skip("IF", "NOT", "EXISTS")
    definitions = part.elements() if part.next_is("(") else [part]
    for definition in definitions:
        column = _column(definition)
        yield AddColumn(table, column)
        if column.unique:
            yield AddIndex(table, (column.name,), unique=True, constraint=True)


def _add_constraint(table: str, part: TokenReader, *, concurrent: bool) -> Action:
    if part.skip("CONSTRAINT") and part.remaining()[0] not in CONSTRAINTS:
        part.name()
    kind = part.one_of("UNIQUE", "FULLTEXT", "SPATIAL", "PRIMARY", "INDEX", "KEY")
    if not kind:
        return OtherChange(table)
    part.one_of("KEY", "INDEX")
    while not part.ended and not part.next_is("("):
        if part.skip("USING", "INDEX"):
            return OtherChange(table)
        part.position += 1
    return AddIndex(table, _names(part.elements()), unique=kind == "UNIQUE", constraint=True, concurrent=concurrent)


def _drop(table: str, part: TokenReader) -> Iterator[Action]:
    named = part.skip("COLUMN")
    if not named and part.remaining()[0] in CONSTRAINTS:
        yield OtherChange(table)
        return
    part.skip("IF", "EXISTS")
    yield DropColumn(table, part.name())


def _rename(table: str, part: TokenReader) -> Action:
    if part.one_of("TO", "AS"):
        return RenameTable(table, part.name())
    if part.one_of("CONSTRAINT", "INDEX", "KEY"):
        return OtherChange(table)
    part.skip("COLUMN")
    old = part.name()
    part.expect("TO")
    return RenameColumn(table, old, part.name())


def _alter_column(table: str, name: str, part: TokenReader) -> Action:
    if part.skip("SET", "NOT", "NULL"):
        return AlterColumn(table, name, null=False)
    if part.skip("DROP", "NOT", "NULL"):
        return AlterColumn(table, name, null=True)
    if part.skip("DROP", "DEFAULT"):
        return AlterColumn(table, name, default=False)
    if part.skip("SET", "DEFAULT"):
        return AlterColumn(table, name, default=part.remaining()[:1] != ["NULL"])
    part.skip("SET", "DATA")
    if part.skip("TYPE"):
        return AlterColumn(table, name, part.type())
    return OtherChange(table)


def _insert(reader: TokenReader) -> Iterator[Action]:
    reader.expect("INTO")
    table = reader.name()
    names = _names(reader.elements()) if reader.next_is("(") else ()
    start = reader.position
    if reader.skip("SELECT"):
        taken = reader.until("FROM").parts()
        source = reader.name()
        if names and len(taken) == len(names):
            columns = (_source_column(name, value) for name, value in zip(names, taken, strict=True))
            yield CopyRows(table, source, tuple(columns))
            return
    reader.position = start
    yield from _read_by_select(reader)


def _read_by_select(reader: TokenReader) -> Iterator[Action]:
    """The first table that a SELECT reads."""
    if reader.skip("SELECT"):
        reader.until("FROM")
        yield SaveRows(reader.name())


def _source_column(name: str, value: TokenReader) -> tuple[str, str, bool]:
    """`name`, `COALESCE(name, value)` or a value."""
    reader = value.remaining()
    if reader == ["NULL"]:
        return name, "", False
    if value.skip("COALESCE"):
        try:
            first = value.elements()[0]
            return name, first.name(), True
        except ParseError:
            return name, "", True
    try:
        source = value.name()
    except ParseError:
        return name, "", True
    return (name, source, False) if value.ended else (name, "", True)


def _update(reader: TokenReader) -> Iterator[Action]:
    reader.skip("ONLY")
    table = reader.name()
    reader.expect("SET")
    names = []
    for part in reader.parts():
        column = part.name()
        if part.remaining() and part.remaining()[0].startswith("="):
            names.append(column.rpartition(".")[2])
        else:
            break
    yield FillColumns(table, tuple(names))
