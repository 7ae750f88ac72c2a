"""Pickles in aerich's table: only indexes that older versions of aerich wrote are read, and no code runs.

aerich records the models of each migration as JSON. Before version 0.8 it pickled their indexes into that JSON, and
every version still unpickles them. An account that can write to the table could therefore run code in every process
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
from sanicbase.i18n import gettext as _

__all__ = ["UnsafePickle", "guard_aerich"]

KNOWN = (
    mysql.FullTextIndex,
    mysql.SpatialIndex,
    postgres.PostgreSQLIndex,
)  # imported so that they are subclasses of Index


class UnsafePickle(MigrationError):
    """aerich's table contains a pickle that aerich does not write; it was not unpickled. `reason` describes it."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            _(
                "The table aerich contains a pickle that aerich does not write: {reason}. It was not unpickled, "
                "because a pickle can run any code. Find out who can write to the table.",
                reason=reason,
            )
        )
        self.reason = reason


def guard_aerich() -> None:
    """Make aerich read only pickled indexes in this process. Any other pickle raises UnsafePickle.

    sanicbase.migrations calls this on import. Tortoise imports it with the models of every service, so the `aerich`
    command is protected as well.
    """
    coder.object_hook = _object_hook


class _Unpickler(pickle.Unpickler):
    """Creates plain values, and an empty class for each index class, so a pickle cannot reach a real class or function.

    `real` maps each empty class to its index class.
    """

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self.real: dict[type, type[Index]] = {}

    def find_class(self, module: str, name: str) -> type:
        for index in _index_classes(Index):
            if (index.__module__, index.__qualname__) == (module, name):
                placeholder = type(index.__name__, (), {})
                self.real[placeholder] = index
                return placeholder
        reason = _("it names {module}.{name}, which is not an index of Tortoise", module=module, name=name)
        raise UnsafePickle(reason)


def _index_classes(base: type[Index]) -> Iterator[type[Index]]:
    yield base
    for index in base.__subclasses__():
        yield from _index_classes(index)


def _read_index(encoded: Any) -> Index:
    try:
        unpickler = _Unpickler(base64.b64decode(encoded))
        placeholder = unpickler.load()
        index = object.__new__(unpickler.real[type(placeholder)])
        # A new index has the attributes that later versions of Tortoise added.
        vars(index).update({**vars(Index(fields=["id"])), **vars(placeholder)})
    except UnsafePickle:
        raise
    except Exception as exc:  # a pickle can fail in any way
        raise UnsafePickle(_("it is not a pickled index")) from exc
    return index


def _object_hook(obj: dict[str, Any]) -> Any:
    """aerich's function of the same name, except that a pickle can only be an index."""
    if obj.get("type") == "index" and (pickled := obj.get("val")):
        return _read_index(pickled)
    return obj
