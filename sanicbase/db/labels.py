"""Which label a model has: that of the module which defines it, whoever else imports it.

Tortoise gives a model to the first label that meets it, and it meets what a module has imported as well: a model of
another service, imported for an annotation, would be this service's, and aerich would migrate it. This is put right for
the whole process when an engine of ours is imported, which Tortoise does before it looks for models, under aerich too.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from tortoise.apps import Apps
from tortoise.models import Model

__all__ = ["claim_models", "models_met"]

_init_app = Apps.init_app


def claim_models(apps: Mapping[str, Mapping[str, Any]]) -> None:
    """Give each model that a module of Tortoise's configuration defines the label of that module.

    A module that cannot be imported is left to Tortoise, which says so.
    """
    for label, app in apps.items():
        for module in app["models"]:
            if isinstance(module, str):
                for model in models_met(module):
                    if model.__module__ == module and model._meta.app is None:
                        model._meta.app = label


def models_met(module: str) -> Iterator[type[Model]]:
    """The models that Tortoise meets in a module, imported ones too; none when it cannot be imported."""
    with suppress(ImportError):
        there = vars(importlib.import_module(module))
        for each in there.get("__models__") or [*there.values()]:
            if isinstance(each, type) and issubclass(each, Model) and each is not Model and not each._meta.abstract:
                yield each


def _init_claimed(self: Apps, label: str, module_list: Iterable[ModuleType | str], *given: Any, **named: Any) -> Any:
    claim_models(self._config)
    return _init_app(self, label, module_list, *given, **named)


Apps.init_app = _init_claimed  # type: ignore[method-assign]
