"""The shapes of statements: their texts without values, so that they can be counted, logged and recorded."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["shape_of", "without_texts"]

LITERAL = re.compile(r"'(?:[^']|'')*+'|(?<![\w$])\d+(?:\.\d+)?\b|\$\d+|%s|:\w+")
LIST = re.compile(r"\?(?:\s*,\s*\?)+")
ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")
COMMENT = r"/\*.*?(?:\*/|\Z)"
TEXT = re.compile(
    rf"--[^\n]*|{COMMENT}|\bE'(?:[^'\\]|\\.|'')*+(?:'|\Z)|'(?:[^']|'')*+(?:'|\Z)|\$(\w*)\$.*?(?:\$\1\$|\Z)",
    re.DOTALL | re.IGNORECASE,
)
MYSQL_TEXT = re.compile(
    rf"(?:--\s|\#)[^\n]*|{COMMENT}|'(?:[^'\\]|\\.|'')*+(?:'|\Z)|\"(?:[^\"\\]|\\.|\"\")*+(?:\"|\Z)", re.DOTALL
)


@lru_cache(maxsize=1024)
def shape_of(query: str) -> str:
    """A statement without its literals; lists of values and of rows count as one of any length."""
    text = LITERAL.sub("?", query)
    return ROWS.sub("(?)", LIST.sub("?", text))


def without_texts(query: str, *, is_mysql: bool) -> str:
    """A statement without comments and texts, also those of the dialect, and those whose end is missing."""
    return (MYSQL_TEXT if is_mysql else TEXT).sub(_hidden, query)


def _hidden(match: re.Match[str]) -> str:
    return " " if match[0].startswith(("--", "/*", "#")) else "?"
