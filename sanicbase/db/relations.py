"""What must hold between the migrated models and the extra ones."""

from __future__ import annotations

from typing import Any

from tortoise import Tortoise
from tortoise.fields.base import Field
from tortoise.fields.relational import ForeignKeyFieldInstance, ManyToManyFieldInstance
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.errors import ConfigError

__all__ = ["check_relations", "migrated_models"]


def migrated_models(config: Config) -> list[type[Model]]:
    """The models whose tables the service's migrations make."""
    apps = config.migrate_db()["apps"]
    modules = {module for app in apps.values() for module in app["models"]}
    return [model for app in Tortoise.apps.values() for model in app.values() if model.__module__ in modules]


def check_relations(config: Config) -> None:
    """Raise ConfigError when a relation leads from a migrated model to an extra one: aerich would fail on it."""
    migrated = migrated_models(config)
    for model in migrated:
        for name, field in model._meta.fields_map.items():
            target = _target(field)
            if target is not None and target not in migrated:
                raise ConfigError(
                    f"{model.__name__}.{name} is a relation to {target.__name__}, a model of MODEL_EXTRA, "
                    "whose table the migrations do not make. Keep its key in a plain column instead."
                )


def _target(field: Field[Any]) -> type[Model] | None:
    """Where a relation leads that was declared in the model itself."""
    if isinstance(field, ForeignKeyFieldInstance) or (
        isinstance(field, ManyToManyFieldInstance) and not field._generated
    ):
        return field.related_model
    return None
