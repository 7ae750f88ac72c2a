"""What the fields of a model are called whose columns are there already."""

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
"""What the body of the class uses, or may use; `id` and the like are columns in every second table."""

PARAMETERS = {"self", "cls", "using_db", "defaults"}
"""What the verbs call their own parameters, beside the fields' names."""


def field_names(columns: Iterable[str]) -> dict[str, str]:
    """A name for the field of each column: the column's own where it can be one, or one that is like it."""
    names: dict[str, str] = {}
    columns = list(columns)
    unchanged = {column: column for column in columns if _is_name(column)}
    for column in columns:
        names[column] = unchanged.get(column) or free_name(_similar(column), {*unchanged.values(), *names.values()})
    return names


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, or with a number behind it when it is taken."""
    if name not in taken:
        return name
    return next(candidate for number in range(2, 10**6) if (candidate := f"{name}_{number}") not in taken)


def _is_name(name: str) -> bool:
    plain = name.isidentifier() and name == unicodedata.normalize("NFKC", name).lower()
    return plain and not name.startswith("_") and "__" not in name and not name.endswith("_") and not _is_taken(name)


def _is_taken(name: str) -> bool:
    return (
        keyword.iskeyword(name) or name in RESERVED | PARAMETERS or hasattr(DBModel, name) or hasattr(BaseModel, name)
    )


def _similar(column: str) -> str:
    """`Order-No.` is order_no; `class` is class_field, for what ends in `_` is no good in conditions: `class___in`."""
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFKC", column))
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", separated)).strip("_").lower()
    if not name or not name.isidentifier():
        name = f"column_{name}".rstrip("_")
    return f"{name}_field" if _is_taken(name) else name
