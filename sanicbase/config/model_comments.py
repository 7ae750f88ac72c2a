"""Comments on the fields of models, which Tortoise takes for descriptions: `#: The name that readers see.`

Tortoise parses the whole file of each model class, also of those without such a comment, and of its own Model when it
is imported: 50 ms of CPU time for that one alone. Here a class is parsed only if its file has the characters `#:`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

__all__: list[str] = []

Read = Callable[[type], dict[str, str]]


def _import_tortoise() -> Any:
    """Import Tortoise's models, whose class Model has no fields to comment on."""
    name, read = "tortoise.models", inspect.getsource

    def read_others(obj: Any) -> str:
        if getattr(obj, "__module__", "") == name:
            raise OSError("Tortoise's own models have no comments.")
        return read(obj)

    inspect.getsource = read_others  # type: ignore[assignment]
    try:
        return import_module(name)
    finally:
        inspect.getsource = read


@lru_cache(maxsize=1)
def _has_comments(file: str) -> bool:
    return "#:" in Path(file).read_text(encoding="utf-8")


def _only_commented(read: Read) -> Read:
    def comments(cls: type) -> dict[str, str]:
        try:
            if not _has_comments(sys.modules[cls.__module__].__file__ or ""):
                return {}
        except (KeyError, AttributeError, OSError, ValueError):  # Tortoise may know how to read it
            pass
        return read(cls)

    return comments


_models = _import_tortoise()
_models._get_comments = _only_commented(_models._get_comments)  # noqa: SLF001
