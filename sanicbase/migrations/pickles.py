"""Pickles in aerich's table: only the indexes that older versions of aerich wrote are read, and no code is run.

aerich notes the models of each migration as JSON. Before version 0.8 it pickled their indexes into that JSON, and every
version still unpickles what it finds there. So an account that may write to the table could run code in each process
that reads it.
"""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Iterator
from typing import Any

from aerich import coder
from tortoise.contrib.mysql import indexes as mysql
from tortoise.contrib.postgres import indexes as postgres
from tortoise.indexes import Index

from sanicbase.errors import MigrationError

__all__ = ["UnsafePickle", "guard_aerich"]

KNOWN = (mysql.FullTextIndex, mysql.SpatialIndex, postgres.PostgreSQLIndex)  # imported, to be among Index's subclasses


class UnsafePickle(MigrationError):
    """aerich's table holds a pickle that aerich does not write; it was not unpickled. `reason` says what is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The table aerich holds a pickle that aerich does not write: {reason}. It was not unpickled, because a "
            "pickle can run any code. Find out who may write to the table."
        )
        self.reason = reason


def guard_aerich() -> None:
    """Have aerich, in this whole process, read pickled indexes only. It raises UnsafePickle for any other pickle.

    sanicbase.migrations calls this when it is imported. Tortoise imports it with the models of every service, so the
    `aerich` command is guarded as well.
    """
    coder.object_hook = _object_hook


class _Unpickler(pickle.Unpickler):
    """Builds plain values, and an empty class in place of each index class: a pickle reaches no real class or function.

    `real` has the index class that each empty one stands for.
    """

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self.real: dict[type, type[Index]] = {}

    def find_class(self, module: str, name: str) -> type:
        for index in _index_classes(Index):
            if (index.__module__, index.__qualname__) == (module, name):
                stand_in = type(index.__name__, (), {})
                self.real[stand_in] = index
                return stand_in
        raise UnsafePickle(f"it names {module}.{name}, which is no index of Tortoise")


def _index_classes(base: type[Index]) -> Iterator[type[Index]]:
    yield base
    for index in base.__subclasses__():
        yield from _index_classes(index)


def _read_index(encoded: Any) -> Index:
    try:
        unpickler = _Unpickler(base64.b64decode(encoded))
        stand_in = unpickler.load()
        index = object.__new__(unpickler.real[type(stand_in)])
        # Attributes that Tortoise has added since come from a new index.
        vars(index).update({**vars(Index(fields=["id"])), **vars(stand_in)})
    except UnsafePickle:
        raise
    except Exception as exc:  # a pickle can fail in any way
        raise UnsafePickle("it is no pickled index") from exc
    return index


def _object_hook(obj: dict[str, Any]) -> Any:
    """aerich's own function of that name, with a pickle that can only be an index."""
    if obj.get("type") == "index" and (pickled := obj.get("val")):
        return _read_index(pickled)
    return obj
