"""The terminal's language: Chinese where its locale says so, English everywhere else."""

from __future__ import annotations

import os
from typing import Literal

__all__ = ["Language", "say", "terminal_language"]

Language = Literal["en", "zh"]

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides, as POSIX has it


def terminal_language() -> Language:
    """The language of whoever sits at the terminal."""
    locale = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def say(english: str, chinese: str) -> str:
    """The sentence in the terminal's language."""
    return chinese if terminal_language() == "zh" else english
