"""The words of a statement, read one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sanicbase.migrations.statements import Dialect, tokens

__all__ = ["UnreadError", "Words", "words_of"]

DEPTHS = {"(": 1, ")": -1}
QUOTES = ('"', "`", "[")
END_OF_TYPE = {
    "AFTER", "AS", "AUTOINCREMENT", "AUTO_INCREMENT", "CHARSET", "CHECK", "COLLATE", "COMMENT", "CONSTRAINT", "DEFAULT",
    "FIRST", "GENERATED", "INVISIBLE", "KEY", "NOT", "NULL", "ON", "PRIMARY", "REFERENCES", "STORAGE", "STORED",
    "UNIQUE", "USING", "VIRTUAL",
}  # fmt: skip
"""What follows the type of a column."""


class UnreadError(Exception):
    """The statement is none of those that are read here."""


def words_of(statement: str, dialect: Dialect) -> Words:
    """The words of a statement, none of which is read yet. Reading behind the last one raises IndexError."""
    return Words(list(_pieces(statement, dialect)), dialect)


class Words:
    """The words of a statement, and how far they are read."""

    def __init__(self, words: Sequence[str], dialect: Dialect) -> None:
        self._words = words
        self.dialect: Dialect = dialect
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self._words)

    def rest(self) -> list[str]:
        """What is not read yet, in capitals."""
        return [word.upper() for word in self._words[self.at :]]

    def next_is(self, *words: str) -> bool:
        """Whether these come next, in capitals."""
        return [word.upper() for word in self._words[self.at : self.at + len(words)]] == list(words)

    def skip(self, *words: str) -> bool:
        """Read these where they come next."""
        if found := self.next_is(*words):
            self.at += len(words)
        return found

    def one_of(self, *words: str) -> str:
        """Read one of these where it comes next."""
        return next((word for word in words if self.skip(word)), "")

    def expect(self, *words: str) -> None:
        if not self.skip(*words):
            raise UnreadError

    def name(self) -> str:
        """A name; of a table with a schema it is `schema.table`."""
        parts = [self._part()]
        while self.skip("."):
            parts.append(self._part())
        return ".".join(part for part in parts if part != "public" or len(parts) == 1)

    def elements(self) -> list[Words]:
        """What stands between two brackets, apart at the commas."""
        self.expect("(")
        start, depth = self.at, 1
        while depth:
            depth += DEPTHS.get(self._words[self.at], 0)
            self.at += 1
        return Words(self._words[start : self.at - 1], self.dialect).parts()

    def until(self, word: str) -> Words:
        """What comes before that word, which is read as well, and stands in no brackets."""
        start, depth = self.at, 0
        while depth or not self.next_is(word):
            depth += DEPTHS.get(self._words[self.at], 0)
            self.at += 1
        self.at += 1
        return Words(self._words[start : self.at - 1], self.dialect)

    def parts(self) -> list[Words]:
        """The rest, apart at the commas."""
        found: list[list[str]] = [[]]
        depth = 0
        for word in self._words[self.at :]:
            depth += DEPTHS.get(word, 0)
            if word == "," and not depth:
                found.append([])
            else:
                found[-1].append(word)
        return [Words(part, self.dialect) for part in found]

    def type(self) -> str:
        """A type as it is written, with single spaces."""
        words: list[str] = []
        depth = 0
        while not self.ended:
            word = self._words[self.at]
            upper = word.upper()
            if not depth and words and (upper in END_OF_TYPE or self.next_is("CHARACTER", "SET")):
                break
            depth += DEPTHS.get(word, 0)
            words.append(word)
            self.at += 1
        return " ".join(words).replace(" (", "(").replace("( ", "(").replace(" )", ")").replace(" , ", ",")

    def _part(self) -> str:
        word = self._words[self.at]
        self.at += 1
        if word[0] in QUOTES:
            mark = word[-1]
            return word[1:-1].replace(mark * 2, mark)
        if not (word[0].isalpha() or word[0] == "_"):
            raise UnreadError
        return word.lower() if self.dialect == "postgres" else word


def _pieces(statement: str, dialect: Dialect) -> Iterator[str]:
    """The words, quoted names, strings and brackets; numbers and operators are whole."""
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
