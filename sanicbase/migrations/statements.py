"""Splits a script into statements, so that each can be shown, timed and recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

__all__ = ["DATABASE_NAMES", "Dialect", "comments_before", "leading_keywords", "split_statements", "tokens"]

Dialect = Literal["postgres", "mysql", "sqlite"]

DATABASE_NAMES: dict[Dialect, str] = {"postgres": "PostgreSQL", "mysql": "MySQL or MariaDB", "sqlite": "SQLite"}
"""The names of the databases in messages."""

WORD = r"(?P<word>[^\W\d]\w*)"
SPACE = r"(?P<space>\s+)"
SINGLE = r"'(?:[^']|'')*'"
DOUBLE = r'"(?:[^"]|"")*"'
BACKQUOTED = r"`(?:[^`]|``)*`"
BLOCK = r"(?P<comment>/\*.*?\*/)"

# Tokens whose content is not parsed. A semicolon ends a statement only outside them.
TOKENS: dict[Dialect, str] = {
    "postgres": "|".join(
        [
            r"(?P<line>--[^\n]*)",
            r"(?P<nested>/\*)",  # comments of PostgreSQL are nested, so their end is searched separately
            r"[eE]'(?:[^'\\]|\\.|'')*'",
            SINGLE,
            DOUBLE,
            r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$",
            WORD,
            SPACE,
        ]
    ),
    "mysql": "|".join(
        [
            r"(?P<line>--(?=\s|$)[^\n]*|\#[^\n]*)",
            r"(?P<hint>/\*M?!.*?\*/)",  # MySQL executes this kind of comment
            BLOCK,
            r"'(?:[^'\\]|\\.|'')*'",
            r'"(?:[^"\\]|\\.|"")*"',
            BACKQUOTED,
            WORD,
            SPACE,
        ]
    ),
    "sqlite": "|".join([r"(?P<line>--[^\n]*)", BLOCK, SINGLE, DOUBLE, BACKQUOTED, r"\[[^\]]*\]", WORD, SPACE]),
}
PATTERNS = {dialect: re.compile(f"{tokens}|(?P<other>.)", re.DOTALL) for dialect, tokens in TOKENS.items()}

COMPOUND = {"PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"}
"""Objects whose definition has a body in which semicolons end inner statements."""
NO_END_OF_A_BLOCK = {"IF", "WHILE", "LOOP", "REPEAT", "FOR"}  # `END IF`
NESTED = re.compile(r"/\*|\*/")


def split_statements(script: str, dialect: Dialect) -> list[str]:
    """The statements of the script without semicolons. Comments around a statement are removed, those in it are kept.

    Strings, quoted names, comments, dollar quotes of PostgreSQL, and bodies of triggers and routines are not split.
    """
    return [text for statement in _split(script, dialect) if (text := statement.text())]


def comments_before(script: str, dialect: Dialect) -> list[list[str]]:
    """The comments before each statement, unchanged; the last item contains those after the last statement."""
    comments: list[list[str]] = [[]]
    for statement in _split(script, dialect):
        comments[-1] += statement.comments
        if statement.text():
            comments.append([])
    return comments


def _split(script: str, dialect: Dialect) -> list[_Statement]:
    statements = [_Statement()]
    for piece, kind in tokens(script, dialect):
        if piece == ";" and not statements[-1].depth:
            statements.append(_Statement())
        else:
            statements[-1].add(piece, kind)
    return statements


def leading_keywords(statement: str, count: int = 2) -> str:
    """The start of a statement in upper case, without comments: `CREATE TABLE`."""
    bare = re.sub(r"\s*(?:--[^\n]*\n|/\*(?!M?!).*?\*/)", " ", statement, flags=re.DOTALL)
    return " ".join(re.findall(r"\w+", bare)[:count]).upper()


class _Statement:
    """The statement being read, and the comments before it; `depth` counts open BEGIN blocks."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.words: list[str] = []
        self.comments: list[str] = []
        self.depth = 0

    def add(self, piece: str, kind: str | None) -> None:
        if not self.words and not self.text() and kind in ("line", "comment", "space"):
            if kind != "space":
                self.comments.append(piece)
            return
        self.parts.append(piece)
        if kind == "word":
            self._take(piece.upper())

    def text(self) -> str:
        return "".join(self.parts).strip()

    def _take(self, word: str) -> None:
        last = self.words[-1] if self.words else ""
        self.words.append(word)
        if not self._is_compound():
            return
        if last == "END" and word in NO_END_OF_A_BLOCK:
            self.depth += 1  # the END does not close it
        elif word == "END":
            self.depth = max(0, self.depth - 1)
        elif word == "BEGIN" or (word == "CASE" and last != "END"):
            self.depth += 1

    def _is_compound(self) -> bool:
        # PostgreSQL's bodies are strings, except BEGIN ATOMIC, which is handled as well
        return self.words[0] == "CREATE" and bool(COMPOUND.intersection(self.words[:12]))


def tokens(script: str, dialect: Dialect) -> Iterator[tuple[str, str | None]]:
    """The tokens of the script with their kinds: `word`, `space`, `line`, `comment`, and `other` for a character.

    Strings and quoted names have kinds of their own. The joined tokens are the script.
    """
    pattern, position = PATTERNS[dialect], 0
    while position < len(script):
        match = pattern.match(script, position)
        assert match is not None  # noqa: S101  (whatever else there is, is the last alternative)
        kind, end = match.lastgroup, match.end()
        if kind == "nested":
            kind, end = "comment", _end_of_comment(script, position)
        yield script[position:end], kind
        position = end


def _end_of_comment(script: str, start: int) -> int:
    depth = 0
    for match in NESTED.finditer(script, start):
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return match.end()
    return len(script)
