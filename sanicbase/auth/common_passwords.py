"""The most common passwords, which attackers try first."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

__all__ = ["is_common"]

FILE = Path(__file__).with_suffix(".txt")  # in lower case; its first lines name its source


def is_common(password: str) -> bool:
    """Whether it is one of the most common passwords of 8 characters or more (ASVS 5, 6.2.4), in any case. The list has
    more than 8,000."""
    return unicodedata.normalize("NFKC", password).strip().lower() in _passwords()


@cache
def _passwords() -> frozenset[str]:
    """Read when the first password is chosen: 80 KB, and 1 MB of memory."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("# "))
