"""The options in the Meta of a cache model, parsed when the class is defined."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from tortoise.fields.base import Field
from tortoise.models import Model

from sanicbase.cache.shape import shape_of, unserializable_field
from sanicbase.db import DBModel
from sanicbase.db.keys import attribute, foreign_key, is_to_many, related_key, unique_sets
from sanicbase.db.values import column_value
from sanicbase.errors import InvalidValue, SanicBaseError

__all__ = ["KeyFields", "Options", "fingerprint", "parse_options"]

NAMES = ("source", "key", "ttl", "unique", "negative_ttl", "connection", "watches", "local")
TTL, NEGATIVE_TTL = 3600.0, 60.0


class KeyFields:
    """The fields that identify an entry: the key, or one of the unique sets.

    For a source they are attributes: `reader_id` where the Meta names the relation `reader`.
    """

    def __init__(self, owner: type[BaseModel], names: tuple[str, ...], source: type[Model] | None) -> None:
        self.names = names
        self._owner = owner
        self._source = source

    @cached_property
    def _fields(self) -> list[Field[Any]]:  # columns of foreign keys exist once Tortoise is open
        return [] if self._source is None else [self._source._meta.fields_map[name] for name in self.names]

    @cached_property
    def _adapters(self) -> list[TypeAdapter[Any]]:
        return [TypeAdapter(self._owner.model_fields[name].rebuild_annotation()) for name in self.names]

    def values(self, given: object) -> tuple[Any, ...] | None:
        """A key as a tuple of the fields' types; None for a key that no entry can have.

        Raises SanicBaseError for a wrong number of parts.
        """
        parts = given if isinstance(given, tuple) and len(self.names) > 1 else (given,)
        if len(parts) != len(self.names):
            raise SanicBaseError(f"The key is a tuple of {len(self.names)} values: {', '.join(self.names)}.")
        if self._source is not None:
            plain = list(map(self._plain, self.names, parts))
            try:
                converted = tuple(map(column_value, self._fields, plain))
            except InvalidValue:
                return None
            return None if None in converted else converted
        try:
            converted = tuple(
                adapter.validate_python(part) for adapter, part in zip(self._adapters, parts, strict=True)
            )
        except ValidationError:
            return None
        return None if any(map(_changes_meaning, parts, converted)) else converted

    def _plain(self, name: str, part: object) -> object:
        """The key of a related object. Raises InvalidValue for an object of another model."""
        relation = None if self._source is None else foreign_key(self._source, name)
        return part if relation is None or not isinstance(part, Model) else related_key(relation, part, name)

    def of(self, entry: object) -> tuple[Any, ...]:
        """The values of an entry or a row."""
        return tuple(getattr(entry, name) for name in self.names)

    def converted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row's values in the types that readers use; not every driver returns those."""
        key = self.values(values[0] if len(values) == 1 else values)
        return values if key is None else key


@dataclass(frozen=True)
class Options:
    """The options of a class."""

    source: type[Model] | None
    key: KeyFields
    unique: Mapping[frozenset[str], KeyFields]
    ttl: float | None
    negative_ttl: float
    connection: str
    watches: Mapping[type[Model], tuple[str, ...]]
    local: bool = False


def parse_options(cls: type[BaseModel], meta: type, *, loads: bool) -> Options:
    """The options of a class. Raises SanicBaseError, which names the class and the field."""
    given = {name: value for name, value in vars(meta).items() if not name.startswith("__")}
    if unknown := sorted(given.keys() - set(NAMES)):
        raise _error(cls, f"Meta has no option {unknown[0]!r}. Allowed: {', '.join(NAMES)}")
    if wrong := unserializable_field(cls):
        raise _error(cls, wrong)
    source = given.get("source")
    if source is not None:
        _check_source(cls, source, loads=loads)
    key = _names(given.get("key", "id" if source is None else "pk"), source)
    unique = [_names(names, source) for names in given.get("unique", ())]
    for name in {*key, *(name for names in unique for name in names)}:
        if name not in cls.model_fields:
            raise _error(cls, f"Meta names {name!r}, which is not a field of the class. Declare it: `{name}: …`")
    if unique and source is None:
        raise _error(cls, "Meta.unique needs a source")
    if source is not None:
        _check_unique(cls, source, [key, *unique])
    watches = {model: _names(names) for model, names in given.get("watches", {}).items()}
    _check_watches(cls, watches, key, loads=loads)
    watches = {model: _names(names, model) for model, names in watches.items()}
    return Options(
        source=source,
        key=KeyFields(cls, key, source),
        unique={frozenset(names): KeyFields(cls, names, source) for names in unique},
        ttl=_seconds(cls, "ttl", given.get("ttl", TTL if source is not None or loads else None)),
        negative_ttl=_seconds(cls, "negative_ttl", given.get("negative_ttl", NEGATIVE_TTL), minimum=0.0) or 0.0,
        connection=given.get("connection", "default"),
        watches=watches if source is None else {source: (), **watches},
        local=_local(cls, given.get("local", False), cached=source is not None or loads),
    )


def fingerprint(cls: type[BaseModel]) -> str:
    """A fingerprint of eight characters, which changes with the shape of the class."""
    return hashlib.blake2b(shape_of(cls).encode(errors="surrogatepass"), digest_size=4).hexdigest()


def _check_source(cls: type[BaseModel], source: Any, *, loads: bool) -> None:
    if not (isinstance(source, type) and issubclass(source, Model)):
        raise _error(cls, "Meta.source must be a DBModel or a Tortoise model")
    if loads:
        raise _error(cls, "it has both a source and a load(). Keep one of them")
    for name in cls.model_fields:
        if attribute(source, name) == f"{name}_id":
            raise _error(cls, f"{name!r} is a relation of {source.__name__}. Declare its column: `{name}_id: …`")
        if is_to_many(source, name):
            raise _error(
                cls, f"{name!r} is a relation of {source.__name__} to rows of another table, so it cannot be a field"
            )
        if not _has_attribute(source, name):
            known = ", ".join(sorted(source._meta.fields_db_projection))
            raise _error(cls, f"the source {source.__name__} has no field {name!r}. It has: {known}")


def _check_unique(cls: type[BaseModel], source: type[Model], sets: Sequence[tuple[str, ...]]) -> None:
    known = unique_sets(source)
    if issubclass(source, DBModel):  # unique among the visible rows
        known |= unique_sets(source, hidden_by=source._visible_filter())
    for names in sets:
        if frozenset(names) not in known:
            raise _error(cls, f"{' + '.join(names)} is not unique in {source.__name__}, so it identifies no entry")


def _check_watches(
    cls: type[BaseModel], watches: Mapping[Any, tuple[str, ...]], key: tuple[str, ...], *, loads: bool
) -> None:
    if watches and not loads:
        raise _error(cls, "Meta.watches needs a load()")
    for model, names in watches.items():
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise _error(cls, "Meta.watches must be a dictionary of models and their fields that hold the key")
        if len(names) != len(key):
            raise _error(cls, f"Meta.watches names {len(names)} fields of {model.__name__}, and a key has {len(key)}")
        if unknown := [name for name in names if not _has_attribute(model, name)]:
            raise _error(cls, f"Meta.watches: {model.__name__} has no field {unknown[0]!r}")


def _changes_meaning(part: object, converted: object) -> bool:
    """Whether pydantic converted a bool, or a float to an int: as keys they are different values."""
    flag = isinstance(part, bool) and not isinstance(converted, bool)
    return flag or (isinstance(part, float) and isinstance(converted, int))


def _has_attribute(model: type[Model], name: str) -> bool:
    """Whether rows have that attribute. Tortoise adds columns of foreign keys when it is opened."""
    return name in model._meta.fields_map or hasattr(model, name) or foreign_key(model, name) is not None


def _names(given: Any, model: Any = None) -> tuple[str, ...]:
    """The given names, as attributes of the model if there is one."""
    names = (given,) if isinstance(given, str) else tuple(given)
    return names if model is None else tuple(attribute(model, name) for name in names)


def _local(cls: type[BaseModel], value: Any, *, cached: bool) -> bool:
    if not isinstance(value, bool):
        raise _error(cls, f"Meta.local must be True or False, not {value!r}")
    if value and not cached:
        raise _error(cls, "Meta.local needs a source or a load(): an entry that Redis alone has is read there")
    return value


def _seconds(cls: type[BaseModel], name: str, value: Any, minimum: float = 0.001) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= 10**9:
        raise _error(cls, f"Meta.{name} must be a number of seconds, not {value!r}")
    return float(value)


def _error(cls: type, problem: str) -> SanicBaseError:
    return SanicBaseError(f"{cls.__name__}: {problem}.")
