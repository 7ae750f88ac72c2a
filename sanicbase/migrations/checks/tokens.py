"""Reads the tokens of a statement in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.migrations.statements import Dialect, tokens

__all__ = ["ParseError", "TokenReader", "read_tokens"]

DEPTHS = {"(": 1, ")": -1}
QUOTES = ('"', "`", "[")
END_OF_TYPE = {
    "AFTER", "AS", "AUTOINCREMENT", "AUTO_INCREMENT", "CHARSET", "CHECK", "COLLATE", "COMMENT", "CONSTRAINT", "DEFAULT",
    "FIRST", "GENERATED", "INVISIBLE", "KEY", "NOT", "NULL", "ON", "PRIMARY", "REFERENCES", "STORAGE", "STORED",
    "UNIQUE", "USING", "VIRTUAL",
}  # fmt: skip
"""Words that can follow the type of a column."""


class ParseError(Exception):
    """The statement is not one that is parsed here."""


def read_tokens(statement: str, dialect: Dialect) -> TokenReader:
    """A reader for the tokens of a statement. Reading past the last one raises IndexError."""
    return TokenReader(list(_pieces(statement, dialect)), dialect)


class TokenReader:
    """The tokens of a statement, and the read position."""

    def __init__(self, words: Sequence[str], dialect: Dialect) -> None:
        self._words = words
        self.dialect: Dialect = dialect
        self.position = 0

    @property
    def ended(self) -> bool:
        return self.position >= len(self._words)

    def remaining(self) -> list[str]:
        """The remaining tokens in upper case."""
        return [word.upper() for word in self._words[self.position :]]

    def next_is(self, *words: str) -> bool:
        """Whether these tokens, in upper case, come next."""
        return [word.upper() for word in self._words[self.position : self.position + len(words)]] == list(words)

    def skip(self, *words: str) -> bool:
        """Read these tokens if they come next."""
        if matched := self.next_is(*words):
            self.position += len(words)
        return matched

    def one_of(self, *words: str) -> str:
        """Read one of these tokens if it comes next."""
        return next((word for word in words if self.skip(word)), "")

    def expect(self, *words: str) -> None:
        if not self.skip(*words):
            raise ParseError

    def name(self) -> str:
        """Read a name; with a schema it is `schema.table`."""
        parts = [self._part()]
        while self.skip("."):
            parts.append(self._part())
        return ".".join(part for part in parts if part != "public" or len(parts) == 1)

    def elements(self) -> list[TokenReader]:
        """Read a parenthesized list, split at its commas."""
        self.expect("(")
        start, depth = self.position, 1
        while depth:
            depth += DEPTHS.get(self._words[self.position], 0)
            self.position += 1
        return TokenReader(self._words[start : self.position - 1], self.dialect).parts()

    def until(self, word: str) -> TokenReader:
        """Read up to and including that word, outside parentheses; return what precedes it."""
        start, depth = self.position, 0
        while depth or not self.next_is(word):
            depth += DEPTHS.get(self._words[self.position], 0)
            self.position += 1
        self.position += 1
        return TokenReader(self._words[start : self.position - 1], self.dialect)

    def parts(self) -> list[TokenReader]:
        """The remaining tokens, split at the commas."""
        parts: list[list[str]] = [[]]
        depth = 0
        for word in self._words[self.position :]:
            depth += DEPTHS.get(word, 0)
            if word == "," and not depth:
                parts.append([])
            else:
                parts[-1].append(word)
        return [TokenReader(part, self.dialect) for part in parts]

    def type(self) -> str:
        """Read a type, with single spaces."""
        parts: list[str] = []
        depth = 0
        while not self.ended:
            word = self._words[self.position]
            upper = word.upper()
            if not depth and parts and (upper in END_OF_TYPE or self.next_is("CHARACTER", "SET")):
                break
            depth += DEPTHS.get(word, 0)
            parts.append(word)
            self.position += 1
        return " ".join(parts).replace(" (", "(").replace("( ", "(").replace(" )", ")").replace(" , ", ",")

    def _part(self) -> str:
        word = self._words[self.position]
        self.position += 1
        if word[0] in QUOTES:
            mark = word[-1]
            return word[1:-1].replace(mark * 2, mark)
        if not (word[0].isalpha() or word[0] == "_"):
            raise ParseError
        return word.lower() if self.dialect == "postgres" else word


def _pieces(statement: str, dialect: Dialect) -> Iterator[str]:
    """The tokens: words, quoted names, strings, parentheses, and complete numbers and operators."""
    whole = ""
    for piece, kind in tokens(statement, dialect):
        if kind == "other" and piece not in "(),.":
            whole += piece
            continue
        if whole:
            yield whole
        whole = ""
        if kind not in ("space", "line", "comment"):
            yield piece
    if whole:
        yield whole
