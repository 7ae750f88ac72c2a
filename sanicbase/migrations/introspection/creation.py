"""What SQLite keeps in the text of a CREATE TABLE only: comments, collations, checks, and how columns are computed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sanicbase.migrations.statements import tokens

__all__ = ["Creation", "Definition", "bracketed", "creation_of", "unquoted", "words_of"]

ESCAPES = {"n": "\n", "r": "\r", "0": "\0", "Z": "\032", "\\": "\\", "/": "/"}
"""As Tortoise writes comments, for there is no other way to have `*/` in one."""

DEPTHS = {"(": 1, ")": -1}

CONSTRAINTS = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}
"""What a definition begins with that is no column's."""


@dataclass(frozen=True)
class Definition:
    """What is told about a column."""

    words: tuple[str, ...] = ()
    comment: str = ""

    @property
    def collation(self) -> str:
        """In capitals; empty for SQLite's usual one."""
        found = _behind(self.words, "COLLATE")
        name = unquoted(found[0]).upper() if found else ""
        return "" if name == "BINARY" else name

    @property
    def computed(self) -> str:
        """The expression of a generated column."""
        found = _behind(self.words, "AS")
        return " ".join(found[1 : bracketed(found, 0)[1] - 1]) if found else ""


@dataclass(frozen=True)
class Creation:
    """A table's statement, taken apart."""

    columns: Mapping[str, Definition] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    without_rowid: bool = False

    def column(self, name: str) -> Definition:
        """What is told about the column of that name, capitals aside; nothing for an expression."""
        return self.columns.get(name.lower(), Definition())


def creation_of(sql: str) -> Creation:
    """The parts of a CREATE TABLE."""
    definitions, tail = _definitions(sql)
    columns = {unquoted(words[0]).lower(): Definition(tuple(words), comment) for words, comment in definitions}
    return Creation(
        columns={name: each for name, each in columns.items() if each.words[0].upper() not in CONSTRAINTS},
        checks=tuple(check for words, _ in definitions for check in _checks(words)),
        without_rowid="WITHOUT" in [word.upper() for word in tail],
    )


def words_of(sql: str) -> list[str]:
    """The pieces of a statement that mean something."""
    return [piece for piece, kind in _pieces(sql) if kind not in ("space", "line", "comment")]


def bracketed(words: Sequence[str], start: int) -> tuple[list[list[str]], int]:
    """The elements between the bracket that opens at `start` and the one that closes it, and where it goes on."""
    elements: list[list[str]] = [[]]
    depth = 0
    for place in range(start, len(words)):
        word = words[place]
        depth += DEPTHS.get(word, 0)
        if depth == 0:
            return elements, place + 1
        if word == "," and depth == 1:
            elements.append([])
        elif place > start:
            elements[-1].append(word)
    return elements, len(words)


def unquoted(name: str) -> str:
    """A name without its quotes."""
    if name[:1] in ('"', "`", "'"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name.startswith("[") else name


def _definitions(sql: str) -> tuple[list[tuple[list[str], str]], list[str]]:
    """The words and the comment of each definition, and the words behind the bracket: comments there are not kept."""
    parts: list[tuple[list[str], list[str]]] = [([], [])]
    depth, passed = 0, False
    for piece, kind in _pieces(sql):
        words, comments = parts[-1]
        if kind == "space":
            passed = passed and "\n" not in piece
        elif kind in ("line", "comment"):
            # Behind the comma, on the same line, it is about what stands before the comma.
            (parts[-2][1] if passed else comments).append(_comment(piece))
        else:
            depth += DEPTHS.get(piece, 0)
            passed = depth == 1 and piece == ","
            if passed or (depth, piece) in ((1, "("), (0, ")")):
                parts.append(([], []))
            else:
                words.append(piece)
    told = [(words, " ".join(comments)) for words, comments in parts]
    return [part for part in told[1:-1] if part[0]], told[-1][0]


def _pieces(sql: str) -> Iterator[tuple[str, str | None]]:
    """The tokens; numbers and operators are whole."""
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
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[0]), re.sub("^ | $", "", piece[2:-2]))


def _behind(words: Sequence[str], word: str) -> list[str]:
    """The words behind that one, which stands in no brackets; none when it does not stand there."""
    depth = 0
    for place, each in enumerate(words):
        depth += DEPTHS.get(each, 0)
        if depth == 0 and place and each.upper() == word:
            return list(words[place + 1 :])
    return []


def _checks(words: Sequence[str]) -> Iterator[str]:
    while found := _behind(["", *words], "CHECK"):
        end = bracketed(found, 0)[1]
        yield " ".join(found[:end])
        words = found[end:]
