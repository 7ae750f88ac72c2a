"""The values that an entry was loaded with, kept by the entry itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from sanicbase.cache.serialization import dump_lossless, load_json

__all__ = ["Loaded", "LoadedEntry", "loaded_by", "loaded_values", "set_loaded", "values_by_name"]

Loaded = bytes | Mapping[str, Any]
"""JSON, or copies of the values by their names where JSON would change them."""

SLOT = "_loaded"


class LoadedEntry(BaseModel):
    """A model that keeps its loaded values: copies and pickles include them, equality and dumps do not.

    It is a slot, because a private attribute of pydantic doubles the time of a read.
    """

    __slots__ = (SLOT,)

    def __copy__(self) -> Self:
        return _with_loaded(super().__copy__(), self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return _with_loaded(super().__deepcopy__(memo), self)

    def __getstate__(self) -> dict[Any, Any]:
        return {**super().__getstate__(), SLOT: loaded_by(self)}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        if (loaded := state.get(SLOT)) is not None:
            set_loaded(self, loaded)


E = TypeVar("E", bound=LoadedEntry)

set_loaded: Callable[[LoadedEntry, Loaded], None] = vars(LoadedEntry)[SLOT].__set__  # an entry may be frozen


def loaded_by(entry: LoadedEntry) -> Loaded | None:
    """The loaded values; None when the entry was not loaded."""
    return getattr(entry, SLOT, None)


def loaded_values(entry: BaseModel) -> Loaded:
    """The values of an entry that was just loaded."""
    payload = dump_lossless(entry, type(entry))
    return deepcopy(entry.__dict__) if payload is None else payload


def values_by_name(loaded: Loaded, kind: type[BaseModel]) -> Mapping[str, Any]:
    """The values that an entry of this class was loaded with."""
    return load_json(kind, loaded).__dict__ if isinstance(loaded, bytes) else loaded


def _with_loaded(copied: E, original: E) -> E:
    if (loaded := loaded_by(original)) is not None:
        set_loaded(copied, loaded)
    return copied
