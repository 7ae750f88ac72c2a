"""File names: those that clients send, and those that are sent to clients (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from unicodedata import category, normalize
from urllib.parse import quote

__all__ = ["MAX_NAME_BYTES", "content_disposition", "safe_name"]

MAX_NAME_BYTES = 255  # of most file systems
MAX_SUFFIX = 16  # characters of an extension that is kept when the name is shortened
MAX_READ = 1024  # characters of a longer name that are used, because normalising a name takes quadratic time
SEPARATORS = re.compile(r"[/\\]+")
DROPPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, direction marks and other invisible characters, surrogates
JOINERS = "\u200c\u200d"  # which Persian and emoji need
UNQUOTED = re.compile(r'[^ -~]|["\\%]')  # what browsers read differently in a quoted name
ATTRIBUTE = "!#$&+-.^_`|~"  # besides letters and digits (RFC 8187, 3.2.1)


def safe_name(name: str) -> str:
    """The name for display and downloads; empty if nothing is left. It is not a path: never open it.

    In NFC, without controls, direction marks and separators, at most 255 bytes in UTF-8, with its extension.
    """
    name = SEPARATORS.sub("_", normalize("NFC", name[:MAX_READ] + name[MAX_READ:][-MAX_SUFFIX:]))
    name = "".join(character for character in name if character in JOINERS or category(character) not in DROPPED)
    return _shortened(name.strip(" ."))


def content_disposition(name: str, *, inline: bool = False) -> str:
    """The header of that name, for a file that is shown or saved under the name."""
    kind, name = "inline" if inline else "attachment", safe_name(name)
    if not name:
        return kind
    plain = UNQUOTED.sub("_", name)
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=ATTRIBUTE)}"


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > MAX_SUFFIX:
        stem, suffix = name, ""
    ending = dot + suffix if suffix else ""
    room = MAX_NAME_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + ending
