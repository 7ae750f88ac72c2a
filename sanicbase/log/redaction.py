"""Secrets, hidden by the key they stand under: in dictionaries, and in text of the form `key=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sanicbase.log.shapes import HIDDEN, without_shapes

__all__ = ["HIDDEN", "Redactor", "said"]

SECRET_WORDS = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "passcode",
    "signature",
    "session_id",
    "sessid",
    "jwt",
)
DEPTH = 8  # what lies deeper in nested dictionaries is not shown

# A header's value has blanks and semicolons: it goes to the end of the line.
HEADER = re.compile(r"((?:cookie|authorization)[\w-]{0,40}\s{0,3}:\s{0,3})[^\s\"'\[({\\][^\r\n\"']*", re.IGNORECASE)

# The key may go on after the word (`password2`, `token_id`) and be quoted, escaped quotes included, for JSON stands in
# JSON. What opens and does not close is hidden to the end of the text: too much is better than too little.
VALUE = r"""
    [\w-]{0,40} \\*["']? \s{0,3} [:=] \s{0,3}
    (?P<value>
        b?\\*"(?:[^"\\]|\\.)*"? | b?\\*'(?:[^'\\]|\\.)*'? | \[[^\]]*\]? | \([^)]*\)? | \{[^}]*\}?
        | (?:(?:bearer|basic|digest)\s+)? [^\s,;&"'()\[\]{}]+ (?:\([^)]*\)?)?
    )
"""


# A header as a pair: ("x-api-key", "…"), also of bytes.
PAIR = r"""
    ["'] [\w-]{{0,40}} (?:{words}) [\w-]{{0,40}} ["'] \s{{0,3}} , \s{{0,3}}
    (?P<value> b?"(?:[^"\\]|\\.){{0,4096}}" | b?'(?:[^'\\]|\\.){{0,4096}}' )
"""

# What databases say of a value that is taken: `Key (token)=(…)`, or `Duplicate entry '…' for key 'user.token'`.
ROW = r"""
    (?P<key> \( [^()]{{0,200}} (?:{words}) [^()]{{0,200}} \) = ) \( [^()]{{0,4096}} \)
    | (?P<taken> Duplicate\ entry\ ) '[^']{{0,4096}}' (?= \ for\ key\ ' [^']{{0,200}} (?:{words}) )
"""


class Redactor:
    """Hides what stands under a key that contains a secret's word, however it is written: `X-Api-Key`, `api_key`.

    Nothing here raises, whatever it is given.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._words = tuple(dict.fromkeys(filter(None, map(_bare, [*SECRET_WORDS, *further]))))
        self._hides = lru_cache(1024)(self._contains_word)
        self._beginnings = tuple({word.lower()[:3] for word in [*SECRET_WORDS, *filter(None, further)]})
        # In text a word is looked for as it is spelt, with or without a separator between its letters' groups.
        spelt = "|".join(sorted({_spelt(word) for word in [*SECRET_WORDS, *filter(None, further)]}))
        self._value = re.compile(f"(?:{spelt})" + VALUE, re.IGNORECASE | re.VERBOSE | re.DOTALL)
        self._pair = re.compile(PAIR.format(words=spelt), re.IGNORECASE | re.VERBOSE)
        self._row = re.compile(ROW.format(words=spelt), re.IGNORECASE | re.VERBOSE)

    def hides(self, key: object) -> bool:
        """Whether values under that key are secret."""
        return isinstance(key, str) and self._hides(key)

    def arguments(self, value: object) -> object:
        """The value with the secrets of its dictionaries hidden; other objects are left as they are."""
        try:
            return self._arguments(value, 0)
        except Exception:  # it may change in another thread meanwhile
            return _unshown(value)

    def plain(self, value: object) -> object:
        """The value as JSON has it, made of copies, its secrets hidden; what JSON does not have as text."""
        try:
            return self._plain(value, 0)
        except Exception:
            return _unshown(value)

    def text(self, text: str) -> str:
        """The text without what looks like a secret, and without the values after secret keys."""
        text = without_shapes(text)
        assigned = "=" in text or ":" in text
        if (assigned or "," in text or "Duplicate" in text) and self._may_hold_secrets(text.lower()):
            if assigned:
                text = HEADER.sub(rf"\1{HIDDEN}", text)
                text = self._value.sub(_hide, text)
            if "," in text:
                text = self._pair.sub(_hide, text)
            if "(" in text or "Duplicate" in text:
                text = self._row.sub(_hide_row, text)
        return text

    def _arguments(self, value: object, depth: int) -> object:
        if depth > DEPTH:
            return "…"
        if isinstance(value, dict):
            return {key: HIDDEN if self.hides(key) else self._arguments(item, depth + 1) for key, item in value.items()}
        if type(value) is list:
            return [self._arguments(item, depth + 1) for item in value]
        if type(value) is tuple:
            return tuple(self._arguments(item, depth + 1) for item in value)
        return value

    def _plain(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else str(value)
        if isinstance(value, str):
            return self.text(value)
        if depth > DEPTH:
            return "…"
        if isinstance(value, dict):
            return {
                said(key): HIDDEN if self.hides(key) else self._plain(item, depth + 1) for key, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._plain(item, depth + 1) for item in value]
        return self.text(said(value))

    def _may_hold_secrets(self, low: str) -> bool:
        for beginning in self._beginnings:  # noqa: SIM110  (asked about most lines; a generator takes twice as long)
            if beginning in low:
                return True
        return False

    def _contains_word(self, key: str) -> bool:
        bare = _bare(key)
        return any(word in bare for word in self._words)


def said(value: object) -> str:
    """`str(value)`, or its class where that raises."""
    try:
        return str(value)
    except Exception:
        return _unshown(value)


def _unshown(value: object) -> str:
    return f"<{type(value).__name__} that cannot be shown>"


def _bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


def _spelt(word: str) -> str:
    """A word as a pattern; `apikey` is `api_key` and `api-key` as well."""
    parts = re.split(r"[_\- ]+", word.lower())
    if len(parts) == 1 and word.endswith("key") and word != "key":
        parts = [word.removesuffix("key"), "key"]
    return "[_-]?".join(map(re.escape, parts))


def _hide(found: re.Match[str]) -> str:
    whole, value = found[0], found["value"]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{whole[: len(whole) - len(value)]}{quote}{HIDDEN}{quote}"


def _hide_row(found: re.Match[str]) -> str:
    return f"{found['taken']}'{HIDDEN}'" if found["taken"] else f"{found['key']}({HIDDEN})"
