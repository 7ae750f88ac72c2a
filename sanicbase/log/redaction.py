"""Redaction of secrets by their keys: in dictionaries, and in text of the form `key=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sanicbase.log.patterns import HIDDEN, redact_patterns

__all__ = ["HIDDEN", "Redactor", "safe_str"]

SECRET_KEYS = (
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
MAX_DEPTH = 8  # of nested dictionaries; deeper values are not shown

# A header's value may contain spaces and semicolons: it ends with the line.
HEADER = re.compile(r"((?:cookie|authorization)[\w-]{0,40}\s{0,3}:\s{0,3})[^\s\"'\[({\\][^\r\n\"']*", re.IGNORECASE)

# The key may continue after the word (`password2`, `token_id`) and be quoted, also with escaped quotes, because JSON
# may contain JSON. An unclosed quote or bracket hides the rest of the text: better too much than too little.
VALUE = r"""
    [\w-]{0,40} \\*["']? \s{0,3} [:=] \s{0,3}
    (?P<value>
        b?\\*"(?:[^"\\]|\\.)*"? | b?\\*'(?:[^'\\]|\\.)*'? | \[[^\]]*\]? | \([^)]*\)? | \{[^}]*\}?
        | (?:(?:bearer|basic|digest)\s+)? [^\s,;&"'()\[\]{}]+ (?:\([^)]*\)?)?
    )
"""


# A header as a pair, ("x-api-key", "…"), also of bytes.
PAIR = r"""
    ["'] [\w-]{{0,40}} (?:{words}) [\w-]{{0,40}} ["'] \s{{0,3}} , \s{{0,3}}
    (?P<value> b?"(?:[^"\\]|\\.){{0,4096}}" | b?'(?:[^'\\]|\\.){{0,4096}}' )
"""

# A database's message about a unique violation: `Key (token)=(…)`, or `Duplicate entry '…' for key 'user.token'`.
ROW = r"""
    (?P<key> \( [^()]{{0,200}} (?:{words}) [^()]{{0,200}} \) = ) \( [^()]{{0,4096}} \)
    | (?P<taken> Duplicate\ entry\ ) '[^']{{0,4096}}' (?= \ for\ key\ ' [^']{{0,200}} (?:{words}) )
"""


class Redactor:
    """Hides the values of keys that contain a word for a secret, in any spelling: `X-Api-Key`, `api_key`.

    No method raises, whatever its argument.
    """

    def __init__(self, extra_keys: Iterable[str] = ()) -> None:
        self._bare_keys = tuple(dict.fromkeys(filter(None, map(_bare, [*SECRET_KEYS, *extra_keys]))))
        self._is_secret = lru_cache(1024)(self._contains_secret_key)
        self._prefixes = tuple({word.lower()[:3] for word in [*SECRET_KEYS, *filter(None, extra_keys)]})
        # In text a key matches with or without a separator between its words.
        keys = "|".join(sorted({_key_pattern(word) for word in [*SECRET_KEYS, *filter(None, extra_keys)]}))
        self._value = re.compile(f"(?:{keys})" + VALUE, re.IGNORECASE | re.VERBOSE | re.DOTALL)
        self._pair = re.compile(PAIR.format(words=keys), re.IGNORECASE | re.VERBOSE)
        self._row = re.compile(ROW.format(words=keys), re.IGNORECASE | re.VERBOSE)

    def hides(self, key: object) -> bool:
        """Whether the values of that key are secret."""
        return isinstance(key, str) and self._is_secret(key)

    def arguments(self, value: object) -> object:
        """The value with the secrets of its dictionaries hidden; other objects are left as they are."""
        try:
            return self._arguments(value, 0)
        except Exception:  # another thread may change it at the same time
            return _placeholder(value)

    def plain(self, value: object) -> object:
        """A copy of the value in JSON's types, its secrets hidden; values of other types become text."""
        try:
            return self._plain(value, 0)
        except Exception:
            return _placeholder(value)

    def text(self, text: str) -> str:
        """The text with everything hidden that looks like a secret, and the values after secret keys."""
        text = redact_patterns(text)
        has_assignment = "=" in text or ":" in text
        if (has_assignment or "," in text or "Duplicate" in text) and self._may_contain_secrets(text.lower()):
            if has_assignment:
                text = HEADER.sub(rf"\1{HIDDEN}", text)
                text = self._value.sub(_hide, text)
            if "," in text:
                text = self._pair.sub(_hide, text)
            if "(" in text or "Duplicate" in text:
                text = self._row.sub(_hide_row, text)
        return text

    def _arguments(self, value: object, depth: int) -> object:
        if depth > MAX_DEPTH:
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
        if depth > MAX_DEPTH:
            return "…"
        if isinstance(value, dict):
            return {
                safe_str(key): HIDDEN if self.hides(key) else self._plain(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._plain(item, depth + 1) for item in value]
        return self.text(safe_str(value))

    def _plain_item(self, key: object, item: object, depth: int) -> object:
        return HIDDEN if self.hides(key) else self._plain(item, depth)

    def _may_contain_secrets(self, lower: str) -> bool:
        for prefix in self._prefixes:  # noqa: SIM110  (called for most lines; a generator takes twice as long)
            if prefix in lower:
                return True
        return False

    def _contains_secret_key(self, key: str) -> bool:
        bare = _bare(key)
        return any(word in bare for word in self._bare_keys)


def safe_str(value: object) -> str:
    """`str(value)`, or the name of its class when that raises."""
    try:
        return str(value)
    except Exception:
        return _placeholder(value)


def _placeholder(value: object) -> str:
    return f"<{type(value).__name__} that cannot be formatted>"


def _bare(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(" ", "")


def _key_pattern(word: str) -> str:
    """A key as a pattern; `apikey` also matches `api_key` and `api-key`."""
    parts = re.split(r"[_\- ]+", word.lower())
    if len(parts) == 1 and word.endswith("key") and word != "key":
        parts = [word.removesuffix("key"), "key"]
    return "[_-]?".join(map(re.escape, parts))


def _hide(match: re.Match[str]) -> str:
    whole, value = match[0], match["value"]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{whole[: len(whole) - len(value)]}{quote}{HIDDEN}{quote}"


def _hide_row(match: re.Match[str]) -> str:
    return f"{match['taken']}'{HIDDEN}'" if match["taken"] else f"{match['key']}({HIDDEN})"
