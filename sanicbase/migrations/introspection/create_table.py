"""Parses CREATE TABLE of SQLite for what only its text contains: comments, collations, checks, computed columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sanicbase.migrations.statements import tokens

__all__ = ["ColumnDefinition", "CreateTable", "parse_create_table", "significant_tokens", "split_brackets", "unquoted"]

ESCAPES = {"n": "\n", "r": "\r", "0": "\0", "Z": "\032", "\\": "\\", "/": "/"}
"""Tortoise escapes `*/` in comments like this."""

DEPTHS = {"(": 1, ")": -1}

CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
"""The first words of a definition that is not a column."""


@dataclass(frozen=True)
class ColumnDefinition:
    """The properties of a column."""

    tokens: tuple[str, ...] = ()
    comment: str = ""

    @property
    def collation(self) -> str:
        """In upper case; empty for SQLite's default."""
        tokens = _tokens_after(self.tokens, "COLLATE")
        name = unquoted(tokens[0]).upper() if tokens else ""
        return "" if name == "BINARY" else name

    @property
    def computed(self) -> str:
        """The expression of a generated column."""
        tokens = _tokens_after(self.tokens, "AS")
        return " ".join(tokens[1 : split_brackets(tokens, 0)[1] - 1]) if tokens else ""


@dataclass(frozen=True)
class CreateTable:
    """The parsed statement of a table."""

    columns: Mapping[str, ColumnDefinition] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    without_rowid: bool = False

    def column(self, name: str) -> ColumnDefinition:
        """The properties of the column with that name, case-insensitively; empty for an expression."""
        return self.columns.get(name.lower(), ColumnDefinition())


def parse_create_table(sql: str) -> CreateTable:
    """Parse a CREATE TABLE."""
    definitions, tail = _definitions(sql)
    columns = {unquoted(tokens[0]).lower(): ColumnDefinition(tuple(tokens), comment) for tokens, comment in definitions}
    return CreateTable(
        columns={
            name: definition for name, definition in columns.items() if definition.tokens[0].upper() not in CONSTRAINTS
        },
        checks=tuple(check for tokens, _ in definitions for check in _checks(tokens)),
        without_rowid="WITHOUT" in [token.upper() for token in tail],
    )


def significant_tokens(sql: str) -> list[str]:
    """The tokens of a statement without white space."""
    return [piece for piece, kind in _pieces(sql) if kind not in ("space", "line", "comment")]


def split_brackets(tokens: Sequence[str], start: int) -> tuple[list[list[str]], int]:
    """The elements between the parenthesis at `start` and its closing one, and the position after it."""
    elements: list[list[str]] = [[]]
    depth = 0
    for position in range(start, len(tokens)):
        piece = tokens[position]
        depth += DEPTHS.get(piece, 0)
        if depth == 0:
            return elements, position + 1
        if piece == "," and depth == 1:
            elements.append([])
        elif position > start:
            elements[-1].append(piece)
    return elements, len(tokens)


def unquoted(name: str) -> str:
    """A name without quotes."""
    if name[:1] in ('"', "`", "'"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name.startswith("[") else name


def _definitions(sql: str) -> tuple[list[tuple[list[str], str]], list[str]]:
    """The words and the comment of each definition, and the words after the parenthesis, without comments."""
    parts: list[tuple[list[str], list[str]]] = [([], [])]
    depth, passed = 0, False
    for piece, kind in _pieces(sql):
        tokens, comments = parts[-1]
        if kind == "space":
            passed = passed and "\n" not in piece
        elif kind in ("line", "comment"):
            # After a comma, a comment on the same line describes what precedes the comma.
            (parts[-2][1] if passed else comments).append(_comment(piece))
        else:
            depth += DEPTHS.get(piece, 0)
            passed = depth == 1 and piece == ","
            if passed or (depth, piece) in ((1, "("), (0, ")")):
                parts.append(([], []))
            else:
                tokens.append(piece)
    definitions = [(tokens, " ".join(comments)) for tokens, comments in parts]
    return [part for part in definitions[1:-1] if part[0]], definitions[-1][0]


def _pieces(sql: str) -> Iterator[tuple[str, str | None]]:
    """The tokens; numbers and operators are complete."""
    whole = ""
    for piece, kind in tokens(sql, "sqlite"):
        if kind == "other" and piece not in "(),":
            whole += piece
            continue
        if whole:
            yield whole, "other"
        whole = ""
        yield piece, kind
    if whole:
        yield whole, "other"


def _comment(piece: str) -> str:
    if piece.startswith("--"):
        return piece[2:].strip()
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[0]), re.sub("^ | $", "", piece[2:-2]))


def _tokens_after(tokens: Sequence[str], keyword: str) -> list[str]:
    """The words after that one, outside parentheses; none when it does not occur."""
    depth = 0
    for position, current in enumerate(tokens):
        depth += DEPTHS.get(current, 0)
        if depth == 0 and position and current.upper() == keyword:
            return list(tokens[position + 1 :])
    return []


def _checks(tokens: Sequence[str]) -> Iterator[str]:
    while rest := _tokens_after(["", *tokens], "CHECK"):
        end = split_brackets(rest, 0)[1]
        yield " ".join(rest[:end])
        tokens = rest[end:]
