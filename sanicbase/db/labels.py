"""The label of a model: that of the module that defines it, whichever modules import it.

Tortoise assigns a model to the first label whose modules contain it, imported models included: a model of another
service, imported for an annotation, would belong to this service, and aerich would migrate it. Importing one of our
engines corrects this for the process; Tortoise imports them before it looks for models, also under aerich.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from tortoise.apps import Apps
from tortoise.models import Model

__all__ = ["assign_labels", "models_in"]

_init_app = Apps.init_app


def assign_labels(apps: Mapping[str, Mapping[str, Any]]) -> None:
    """Assign the label of its module to each model that a configured module defines.

    Tortoise reports modules that cannot be imported.
    """
    for label, app in apps.items():
        for module in app["models"]:
            if isinstance(module, str):
                for model in models_in(module):
                    if model.__module__ == module and model._meta.app is None:
                        model._meta.app = label


def models_in(module: str) -> Iterator[type[Model]]:
    """The models that Tortoise finds in a module, imported ones included; none when it cannot be imported."""
    with suppress(ImportError):
        members = vars(importlib.import_module(module))
        for member in members.get("__models__") or [*members.values()]:
            is_model = isinstance(member, type) and issubclass(member, Model) and member is not Model
            if is_model and not member._meta.abstract:
                yield member


def _init_labelled(self: Apps, label: str, module_list: Iterable[ModuleType | str], *args: Any, **kwargs: Any) -> Any:
    assign_labels(self._config)
    return _init_app(self, label, module_list, *args, **kwargs)


Apps.init_app = _init_labelled  # type: ignore[method-assign]
