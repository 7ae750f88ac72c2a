"""Relations, their columns and unique keys, under one name each: that of the attribute which holds the column.

A foreign key `reader` has a column whose attribute is `reader_id`. Both names, and `pk` for the primary key, mean that
attribute, and a related object means its key. Everything that compares names or asks what is unique asks here. It works
before Tortoise is open as well, when models do not have the attributes of their foreign keys yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tortoise.expressions import Q
from tortoise.fields.base import Field
from tortoise.fields.relational import ForeignKeyFieldInstance, OneToOneFieldInstance, RelationalField
from tortoise.migrations.constraints import UniqueConstraint
from tortoise.models import Model

from sanicbase.errors import InvalidValue, SanicBaseError

__all__ = [
    "are_plain",
    "attribute",
    "attribute_path",
    "attributes",
    "check_together",
    "foreign_key",
    "key_of",
    "pk_field",
    "plain_filter",
    "to_many",
    "unique_keys",
    "unique_sets",
    "with_attributes",
    "without_objects",
]


def foreign_key(model: type[Model], name: str) -> ForeignKeyFieldInstance[Any] | None:
    """The foreign key or one-to-one relation that `name` means, by its own name or by that of its column."""
    fields: dict[str, Field[Any]] = model._meta.fields_map
    if name == "pk" and "pk" not in fields:
        name = model._meta.pk_attr
    relation = fields.get(name)
    if isinstance(relation, ForeignKeyFieldInstance):
        return relation
    relation = fields.get(name.removesuffix("_id"))
    if isinstance(relation, ForeignKeyFieldInstance) and (name not in fields or fields[name].reference is relation):
        return relation
    return None


def to_many(model: type[Model], name: str) -> bool:
    """Whether `name` is a relation whose key is not in the model's own table."""
    field = model._meta.fields_map.get(name)
    return isinstance(field, RelationalField) and not isinstance(field, ForeignKeyFieldInstance)


def attribute(model: type[Model], name: str) -> str:
    """The attribute that holds the column: `reader_id` of `reader`, the primary key's of `pk`, else the name itself."""
    if name == "pk" and "pk" not in model._meta.fields_map:
        name = model._meta.pk_attr
    relation = model._meta.fields_map.get(name)
    return f"{name}_id" if isinstance(relation, ForeignKeyFieldInstance) else name


def attributes(model: type[Model], names: Iterable[str]) -> list[str]:
    """The attributes of these names, each once."""
    return list(dict.fromkeys(attribute(model, name) for name in names))


def attribute_path(model: type[Model], path: str) -> str:
    """A path of Tortoise's with the attribute at its end: `article__author__in` becomes `article__author_id__in`."""
    return _resolved(model, path)[0]


def pk_field(model: type[Model]) -> Field[Any]:
    """The field of the primary key's column; Tortoise's own `_meta.pk` is the relation of one that is one to one."""
    meta = model._meta
    found: Field[Any] = meta.fields_map.get(attribute(model, "pk"), meta.pk)
    return found


def key_of(relation: RelationalField[Any], value: Model, name: str) -> Any:
    """What the column of a relation holds for a related object. Raises InvalidValue for one that is not saved."""
    related = _related(relation)
    if related is not None and type(value) is not related:
        kind = type(value).__name__
        raise InvalidValue(
            f"{name!r} takes an object of {related.__name__}, not of {kind}.", path=name, code="wrong_type"
        )
    if not value._saved_in_db:
        raise InvalidValue(f"The object in {name!r} has no row yet. Save it first.", path=name, code="invalid")
    column = relation.to_field if isinstance(relation, ForeignKeyFieldInstance) else None
    return getattr(value, column or value._meta.pk_attr)


def are_plain(model: type[Model], values: Mapping[str, Any]) -> bool:
    """Whether the values are named by their attributes already, and none is an object: most are, and cost no more."""
    if "pk" in values or not model._meta.fetch_fields.isdisjoint(values):
        return False
    return not any(isinstance(value, Model) for value in values.values())


def without_objects(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their attributes, keys in place of related objects.

    Raises InvalidValue when a column is given twice, by two names and with different values.
    """
    if are_plain(model, values):
        return dict(values)
    found: dict[str, Any] = {}
    for name, value in values.items():
        relation = foreign_key(model, name) if isinstance(value, Model) else None
        key = value if relation is None else key_of(relation, value, name)
        column = attribute(model, name)
        if column in found and found[column] != key:
            raise InvalidValue(f"{name!r} and {column!r} are one column. Give one value.", path=name, code="invalid")
        found[column] = key
    return found


def with_attributes(model: type[Model], condition: Q) -> Q:
    """The condition with columns in place of relations, and keys in place of related objects."""
    children = [with_attributes(model, child) for child in condition.children]
    filters = dict(plain_filter(model, path, value) for path, value in condition.filters.items())
    if len(filters) < len(condition.filters):  # two names of one column: both have to hold, or one of them
        children = [Q(**dict([plain_filter(model, path, value)])) for path, value in condition.filters.items()]
        filters = {}
    found = Q(*children, join_type=condition.join_type, **filters)
    if condition._is_negated:
        found.negate()
    return found


def plain_filter(model: type[Model], path: str, value: Any) -> tuple[str, Any]:
    """A filter of a column in place of one of a relation, with keys in place of related objects."""
    found, relation = _resolved(model, path)
    if relation is None:
        return found, value
    if isinstance(value, list | tuple | set | frozenset):
        return found, [key_of(relation, each, path) if isinstance(each, Model) else each for each in value]
    return found, key_of(relation, value, path) if isinstance(value, Model) else value


def unique_keys(model: type[Model]) -> list[tuple[str, ...]]:
    """The attributes of each unique key of the model's table, in its order; the primary key comes first."""
    meta = model._meta
    fields: Mapping[str, Field[Any]] = meta.fields_map
    single = [(name,) for name, field in fields.items() if _is_unique(field)]
    constraints = [
        each.fields for each in meta.constraints if isinstance(each, UniqueConstraint) and not each.condition
    ]
    keys = [(meta.pk_attr,), *single, *meta.unique_together, *constraints]
    return list(dict.fromkeys(tuple(attribute(model, name) for name in names) for names in keys))


def unique_sets(model: type[Model], *, hidden_by: Collection[str] = ()) -> set[frozenset[str]]:
    """The sets of attributes that tell one row from all others, or from all others that these columns do not hide."""
    return {frozenset(names).difference(hidden_by) for names in unique_keys(model)}


def check_together(model: type[Model]) -> None:
    """Raise SanicBaseError for a unique set or an index of a column that there is not.

    Tortoise takes a relation's name with `_id` for its column, whatever `source_field` says.
    """
    meta = model._meta
    constraints = [each.fields for each in meta.constraints if isinstance(each, UniqueConstraint)]
    options = {"unique_together": meta.unique_together, "indexes": meta.indexes, "constraints": constraints}
    for option, sets in options.items():
        for name in (name for names in sets if isinstance(names, list | tuple) for name in names):
            relation = foreign_key(model, name)
            if relation is None and (name not in meta.fields_map or to_many(model, name)):
                raise SanicBaseError(f"{model.__name__}.Meta.{option} names {name!r}, which has no column.")
            if name in meta.fields_map and relation and relation.source_field not in (None, f"{name}_id"):
                raise SanicBaseError(
                    f"{model.__name__}.Meta.{option} names {name!r}, whose column is {relation.source_field!r}. "
                    f"Write {name + '_id'!r}, which Tortoise looks up."
                )


def _related(relation: Any) -> type[Model] | None:
    """The model that a relation leads to; None while the database is not open."""
    found: type[Model] | None = relation.related_model
    return found


def _is_unique(field: Field[Any]) -> bool:
    """Whether the database keeps the column unique; of a foreign key Tortoise drops `unique=True`."""
    return field.unique and (not isinstance(field, RelationalField) or isinstance(field, OneToOneFieldInstance))


def _resolved(model: type[Model], path: str) -> tuple[str, RelationalField[Any] | None]:
    """A path with the attribute at its end, and the relation there, if it is one."""
    first, joined, rest = path.partition("__")
    fields: Mapping[str, Any] = model._meta.fields_map
    relation = fields.get(first)
    if not isinstance(relation, RelationalField):
        return attribute(model, first) + joined + rest, foreign_key(model, first)
    if joined:
        related = _related(relation)
        if related is None:  # the database is not open
            return path, None
        if (name := rest.partition("__")[0]) == "pk" or name in related._meta.fields_map:
            end, found = _resolved(related, rest)
            return f"{first}__{end}", found
    return attribute(model, first) + joined + rest, relation
