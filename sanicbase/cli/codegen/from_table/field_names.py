"""Names the fields of a model for existing columns."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable

from pydantic import BaseModel

from sanicbase.db import DBModel

__all__ = ["field_names", "free_name"]

RESERVED = {"fields", "pk", *dir(builtins)} - {"id", "type", "hash", "format", "range", "license", "max", "min", "sum"}
"""Names that the class body uses or may use; `id` and the like are common columns."""

PARAMETERS = {"self", "cls", "using_db", "defaults"}
"""Parameter names of methods that also take field names as keyword arguments."""


def field_names(columns: Iterable[str]) -> dict[str, str]:
    """A field name for each column: the name of the column if it is valid, or a similar one."""
    names: dict[str, str] = {}
    columns = list(columns)
    unchanged = {column: column for column in columns if _is_name(column)}
    for column in columns:
        names[column] = unchanged.get(column) or free_name(_similar(column), {*unchanged.values(), *names.values()})
    return names


def free_name(name: str, used: Collection[str]) -> str:
    """The name, with a number appended if it is used."""
    if name not in used:
        return name
    return next(candidate for number in range(2, 10**6) if (candidate := f"{name}_{number}") not in used)


def _is_name(name: str) -> bool:
    plain = name.isidentifier() and name == unicodedata.normalize("NFKC", name).lower()
    return plain and not name.startswith("_") and "__" not in name and not name.endswith("_") and not _is_taken(name)


def _is_taken(name: str) -> bool:
    return (
        keyword.iskeyword(name) or name in RESERVED | PARAMETERS or hasattr(DBModel, name) or hasattr(BaseModel, name)
    )


def _similar(column: str) -> str:
    """`Order-No.` becomes order_no. `class` becomes class_field: a name ending in `_` would make `class___in` in
    conditions."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFKC", column))
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", separated)).strip("_").lower()
    if not name or not name.isidentifier():
        name = f"column_{name}".rstrip("_")
    return f"{name}_field" if _is_taken(name) else name
