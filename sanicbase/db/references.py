"""Check the targets of relations before Tortoise does: its error names neither the model nor the field, and leaves
models half initialized."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tortoise.fields.relational import RelationalField
from tortoise.models import Model

from sanicbase.config import Config
from sanicbase.db.labels import assign_labels, models_in
from sanicbase.errors import ConfigError

__all__ = ["check_references"]

Labels = Mapping[str, Mapping[str, type[Model]]]


def check_references(config: Config) -> None:
    """Raise ConfigError, with a sentence for each relation to an unknown model.

    Model files are imported. Tortoise raises ConfigurationError for one that cannot be imported.
    """
    labels = _labels(config)
    sentences = [*_stray(config)]
    sentences += [
        f"{model.__name__}.{name} in {model.__module__} is a relation to {reference!r}, {_cause(reference, labels)}. "
        f"{_remedy(reference, labels, config)}"
        for app in labels.values()
        for model in app.values()
        for name, reference in _references(model)
        if not _is_known(reference, labels)
    ]
    if sentences:
        raise ConfigError("\n".join(sentences))


def _labels(config: Config) -> Labels:
    """The models by label, as Tortoise finds them."""
    apps = config.tortoise()["apps"]
    assign_labels(apps)
    models: dict[str, dict[str, type[Model]]] = {label: {} for label in apps}
    for label, app in apps.items():
        for model in (model for module in app["models"] for model in models_in(module)):
            if (model._meta.app or label) == label:
                models[label][model.__name__] = model
    return models


def _stray(config: Config) -> Iterator[str]:
    """A sentence for each model of another service that a migrated file imports and MODEL_EXTRA lacks."""
    shared = config.shared_labels()
    for label, app in config.migrate_db()["apps"].items():
        for module in app["models"] if label not in shared else ():
            for model in models_in(module):
                owner = model.__module__.partition(".")[0]
                if (
                    owner != config.SERVER_NAME
                    and ".model_db." in model.__module__
                    and model._meta.app in (None, label)
                ):
                    yield (
                        f"{module} imports {model.__name__} of {model.__module__}, whose tables aerich would migrate "
                        f"with those of {config.SERVER_NAME}. Add {model.__module__!r} to MODEL_EXTRA."
                    )


def _references(model: type[Model]) -> Iterator[tuple[str, str]]:
    """The relations that the model declares by a string, with that string."""
    for name, field in model._meta.fields_map.items():
        written = getattr(field, "model_name", None)
        if isinstance(field, RelationalField) and isinstance(written, str) and not getattr(field, "_generated", False):
            yield name, written


def _is_known(reference: str, labels: Labels) -> bool:
    label, _, name = reference.partition(".")
    return name in labels.get(label, ())


def _cause(reference: str, labels: Labels) -> str:
    label = reference.partition(".")[0]
    if label in labels:
        return f"and the label {label!r} has {_listed(labels[label])}"
    return f"and there is no label {label!r}, only {', '.join(map(repr, labels))}"


def _listed(app: Mapping[str, object]) -> str:
    names = [name for name in app if name != "Aerich"]
    return f"only {', '.join(names)}" if names else "no models"


def _remedy(reference: str, labels: Labels, config: Config) -> str:
    label, _, name = reference.rpartition(".")
    if written := [f"{other}.{name}" for other, app in labels.items() if name in app]:
        return f"Write {' or '.join(map(repr, written))}."
    if module := _defining(config.project_dir(), label, name, config.SERVER_NAME):
        owner, _, file = module.partition(".model_db.")
        if owner == config.SERVER_NAME:
            return f"It is in {module}: add {file!r} to MODEL_LIST, and write '{owner}.{name}'."
        return f"It is in {module}: add {module!r} to MODEL_EXTRA, and write '{owner}.{name}'."
    references = [f"{other}.{model}" for other, app in labels.items() for model in app if model != "Aerich"]
    if near := difflib.get_close_matches(reference, references, n=1):
        return f"Did you mean {near[0]!r}?"
    return f"Correct it, or add the file that has {name} to MODEL_LIST, or another service's to MODEL_EXTRA."


def _defining(project: Path, label: str, name: str, service: str) -> str:
    """The module that defines such a model, in the label's service, this one, or another one."""
    files = sorted(project.glob("*/model_db/*.py"))
    modules = [f"{file.parts[-3]}.model_db.{file.stem}" for file in files if _defines(file, name)]
    return next(iter(sorted(modules, key=lambda module: _rank(module, (label, service)))), "")


def _rank(module: str, owners: Sequence[str]) -> int:
    owner: Any = module.partition(".")[0]
    return owners.index(owner) if owner in owners else len(owners)


def _defines(file: Path, name: str) -> bool:
    with suppress(OSError, SyntaxError, ValueError):
        return any(isinstance(node, ast.ClassDef) and node.name == name for node in ast.parse(file.read_bytes()).body)
    return False
