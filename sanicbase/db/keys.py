"""Names of columns and unique keys: each column has one canonical name, that of its attribute.

A foreign key `reader` has a column with the attribute `reader_id`. Both names, and `pk` for the primary key, mean that
attribute, and a related object means its key. All code that compares names, or needs the unique keys, uses this module.
It also works before Tortoise is open, when models do not have the attributes of their foreign keys yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tortoise.expressions import Q
from tortoise.fields.base import Field
from tortoise.fields.relational import ForeignKeyFieldInstance, OneToOneFieldInstance, RelationalField
from tortoise.models import Model

from sanicbase.errors import InvalidValue, SanicBaseError

if TYPE_CHECKING:
    from tortoise.migrations.constraints import UniqueConstraint

__all__ = [
    "are_normalized",
    "attribute",
    "attribute_path",
    "attributes",
    "check_unique_together",
    "foreign_key",
    "is_to_many",
    "normalize_condition",
    "normalize_filter",
    "normalize_values",
    "pk_field",
    "related_key",
    "unique_keys",
    "unique_sets",
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


def is_to_many(model: type[Model], name: str) -> bool:
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
    """A Tortoise lookup that ends with the attribute: `article__author__in` becomes `article__author_id__in`."""
    return _resolve_path(model, path)[0]


def pk_field(model: type[Model]) -> Field[Any]:
    """The field of the primary key's column; for a one-to-one key, Tortoise's `_meta.pk` is the relation."""
    meta = model._meta
    field: Field[Any] = meta.fields_map.get(attribute(model, "pk"), meta.pk)
    return field


def related_key(relation: RelationalField[Any], value: Model, name: str) -> Any:
    """The column value for a related object. Raises InvalidValue for an object that is not saved."""
    related = _related_model(relation)
    if related is not None and type(value) is not related:
        kind = type(value).__name__
        raise InvalidValue(
            f"{name!r} takes an object of {related.__name__}, not of {kind}.", path=name, code="wrong_type"
        )
    if not value._saved_in_db:
        raise InvalidValue(f"The object in {name!r} has no row yet. Save it first.", path=name, code="invalid")
    column = relation.to_field if isinstance(relation, ForeignKeyFieldInstance) else None
    return getattr(value, column or value._meta.pk_attr)


def are_normalized(model: type[Model], values: Mapping[str, Any]) -> bool:
    """Whether the values are named by their attributes, and none is an object: the fast path."""
    if "pk" in values or not model._meta.fetch_fields.isdisjoint(values):
        return False
    return not any(isinstance(value, Model) for value in values.values())


def normalize_values(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by their attributes, with keys in place of related objects.

    Raises InvalidValue when a column is given by two names with different values.
    """
    if are_normalized(model, values):
        return dict(values)
    normalized: dict[str, Any] = {}
    for name, value in values.items():
        relation = foreign_key(model, name) if isinstance(value, Model) else None
        key = value if relation is None else related_key(relation, value, name)
        column = attribute(model, name)
        if column in normalized and normalized[column] != key:
            raise InvalidValue(f"{name!r} and {column!r} are one column. Give one value.", path=name, code="invalid")
        normalized[column] = key
    return normalized


def normalize_condition(model: type[Model], condition: Q) -> Q:
    """The condition with attributes in place of relations, and keys in place of related objects."""
    children = [normalize_condition(model, child) for child in condition.children]
    filters = dict(normalize_filter(model, path, value) for path, value in condition.filters.items())
    if len(filters) < len(condition.filters):  # two names of one column
        children = [Q(**dict([normalize_filter(model, path, value)])) for path, value in condition.filters.items()]
        filters = {}
    normalized = Q(*children, join_type=condition.join_type, **filters)
    if condition._is_negated:
        normalized.negate()
    return normalized


def normalize_filter(model: type[Model], path: str, value: Any) -> tuple[str, Any]:
    """The filter with the attribute in place of the relation, and keys in place of related objects."""
    column, relation = _resolve_path(model, path)
    if relation is None:
        return column, value
    if isinstance(value, list | tuple | set | frozenset):
        return column, [related_key(relation, item, path) if isinstance(item, Model) else item for item in value]
    return column, related_key(relation, value, path) if isinstance(value, Model) else value


def unique_keys(model: type[Model]) -> list[tuple[str, ...]]:
    """The attributes of each unique key of the model's table, in order; the primary key comes first."""
    meta = model._meta
    fields: Mapping[str, Field[Any]] = meta.fields_map
    single = [(name,) for name, field in fields.items() if _is_unique(field)]
    constraints = [constraint.fields for constraint in _unique_constraints(model) if not constraint.condition]
    keys = [(meta.pk_attr,), *single, *meta.unique_together, *constraints]
    return list(dict.fromkeys(tuple(attribute(model, name) for name in names) for names in keys))


def _unique_constraints(model: type[Model]) -> list[UniqueConstraint]:
    if not model._meta.constraints:
        return []
    from tortoise.migrations.constraints import UniqueConstraint  # with its package, which few models need

    return [constraint for constraint in model._meta.constraints if isinstance(constraint, UniqueConstraint)]


def unique_sets(model: type[Model], *, hidden_by: Collection[str] = ()) -> set[frozenset[str]]:
    """The sets of attributes that identify a row, or a row among those that the columns `hidden_by` do not hide."""
    return {frozenset(names).difference(hidden_by) for names in unique_keys(model)}


def check_unique_together(model: type[Model]) -> None:
    """Raise SanicBaseError for a unique set or an index with an unknown column.

    Tortoise expects a relation's name with `_id` as its column, whatever `source_field` is.
    """
    meta = model._meta
    constraints = [constraint.fields for constraint in _unique_constraints(model)]
    options = {"unique_together": meta.unique_together, "indexes": meta.indexes, "constraints": constraints}
    for option, sets in options.items():
        for name in (name for names in sets if isinstance(names, list | tuple) for name in names):
            relation = foreign_key(model, name)
            if relation is None and (name not in meta.fields_map or is_to_many(model, name)):
                raise SanicBaseError(f"{model.__name__}.Meta.{option} names {name!r}, which is not a column.")
            if name in meta.fields_map and relation and relation.source_field not in (None, f"{name}_id"):
                raise SanicBaseError(
                    f"{model.__name__}.Meta.{option} names {name!r}, whose column is {relation.source_field!r}. "
                    f"Write {name + '_id'!r}, which Tortoise looks up."
                )


def _related_model(relation: Any) -> type[Model] | None:
    """The related model; None while the database is not open."""
    model: type[Model] | None = relation.related_model
    return model


def _is_unique(field: Field[Any]) -> bool:
    """Whether the column is unique in the database; Tortoise ignores `unique=True` of a foreign key."""
    return field.unique and (not isinstance(field, RelationalField) or isinstance(field, OneToOneFieldInstance))


def _resolve_path(model: type[Model], path: str) -> tuple[str, RelationalField[Any] | None]:
    """The lookup that ends with the attribute, and its relation, if there is one."""
    first, separator, rest = path.partition("__")
    fields: Mapping[str, Any] = model._meta.fields_map
    relation = fields.get(first)
    if not isinstance(relation, RelationalField):
        return attribute(model, first) + separator + rest, foreign_key(model, first)
    if separator:
        related = _related_model(relation)
        if related is None:  # the database is not open
            return path, None
        if (name := rest.partition("__")[0]) == "pk" or name in related._meta.fields_map:
            end, target = _resolve_path(related, rest)
            return f"{first}__{end}", target
    return attribute(model, first) + separator + rest, relation
