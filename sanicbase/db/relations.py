"""Checks of relations: between migrated models, extra ones and those of other services, and of watched models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tortoise import Tortoise
from tortoise.fields.base import Field
from tortoise.fields.relational import ForeignKeyFieldInstance, ManyToManyFieldInstance
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db.model import DBModel
from sanicbase.db.observers import is_changed_on_delete, is_watched, open_models
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

__all__ = ["check_relations", "check_watched_models", "migrated_models", "referenced_models"]


def migrated_models(config: Config) -> list[type[Model]]:
    """The models whose tables the service's migrations create."""
    apps, shared = config.migrate_db()["apps"], config.shared_labels()
    modules = {module for label, app in apps.items() if label not in shared for module in app["models"]}
    return [
        model
        for label, app in Tortoise.apps.items()
        if label not in shared
        for model in app.values()
        if model.__module__ in modules
    ]


def check_relations(config: Config) -> None:
    """Raise ConfigError when a migrated model has a relation that no migration can create.

    aerich would fail on an extra model, and a foreign key cannot reference a table of another database.
    """
    migrated, shared = migrated_models(config), config.shared_labels()
    for model in migrated:
        for name, field in model._meta.fields_map.items():
            target = _target(field)
            if target is None:
                continue
            if target not in migrated and target._meta.app not in shared:
                raise ConfigError(
                    _(
                        "{model}.{field} is a relation to {target}, a model of MODEL_EXTRA, whose table the migrations "
                        "do not create. Store its key in a plain column instead.",
                        model=model.__name__,
                        field=name,
                        target=target.__name__,
                    )
                )
            if target._meta.default_connection != model._meta.default_connection and _is_constrained(field):
                raise ConfigError(
                    _(
                        "{model}.{field} is a relation to {target}, whose table is in another database, {connection}. "
                        "Declare a foreign key with db_constraint=False, or store its key in a plain column instead.",
                        model=model.__name__,
                        field=name,
                        target=target.__name__,
                        connection=target._meta.default_connection,
                    )
                )


def referenced_models(migrated: Iterable[type[Model]]) -> list[type[Model]]:
    """The models of other labels that foreign keys of these models reference."""
    targets: dict[type[Model], None] = {}
    for model in migrated:
        for field in model._meta.fields_map.values():
            target = _target(field)
            if target is not None and target._meta.app != model._meta.app and _is_constrained(field):
                targets[target] = None
    return list(targets)


def check_watched_models() -> None:
    """Raise ConfigError when the database would change rows of a watched model without a notification."""
    for model, name, parent in _unseen_parents():
        raise ConfigError(
            _(
                "{model}.{field} references {parent}, which is not a DBModel: when a row of it is deleted, the "
                "database changes rows of a watched model without a notification. Make {parent} a DBModel, or declare "
                "the key with on_delete=RESTRICT.",
                model=model.__name__,
                field=name,
                parent=parent.__name__,
            )
        )


def _unseen_parents() -> list[tuple[type[Model], str, type[Model]]]:
    """A model, its key and its parent for each foreign key that changes watched rows without a notification."""
    parents: list[tuple[type[Model], str, type[Model]]] = []
    waiting = [model for model in open_models() if is_watched(model)]
    seen = set(waiting)
    while waiting:
        model = waiting.pop()
        fields: dict[str, Any] = model._meta.fields_map
        for name, field in fields.items():
            if not is_changed_on_delete(field) or (not is_watched(model) and field.on_delete != "CASCADE"):
                continue
            if not issubclass(field.related_model, DBModel):
                parents.append((model, name, field.related_model))
            elif field.related_model not in seen:
                seen.add(field.related_model)
                waiting.append(field.related_model)
    return parents


def _target(field: Field[Any]) -> type[Model] | None:
    """The target of a relation that the model declares."""
    if isinstance(field, ForeignKeyFieldInstance) or (
        isinstance(field, ManyToManyFieldInstance) and not field._generated
    ):
        return field.related_model
    return None


def _is_constrained(field: Field[Any]) -> bool:
    return isinstance(field, ManyToManyFieldInstance) or bool(getattr(field, "db_constraint", False))
