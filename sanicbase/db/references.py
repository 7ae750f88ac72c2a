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
from sanicbase.config.settings import AERICH
from sanicbase.db.labels import assign_labels, models_in
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

__all__ = ["check_references"]

Labels = Mapping[str, Mapping[str, type[Model]]]


def check_references(config: Config) -> None:
    """Raise ConfigError, with a sentence for each relation to an unknown model.

    Model files are imported. Tortoise raises ConfigurationError for one that cannot be imported.
    """
    labels = _labels(config)
    sentences = [*_stray(config)]
    sentences += [
        _sentence(model, name, reference, labels, config)
        for app in labels.values()
        for model in app.values()
        for name, reference in _references(model)
        if not _is_known(reference, labels)
    ]
    if sentences:
        raise ConfigError("\n".join(sentences))


def _sentence(model: type[Model], name: str, reference: str, labels: Labels, config: Config) -> str:
    return _(
        "{model}.{field} in {module} is a relation to {reference!r}, {cause}. {remedy}",
        model=model.__name__,
        field=name,
        module=model.__module__,
        reference=reference,
        cause=_cause(reference, labels),
        remedy=_remedy(reference, labels, config),
    )


def _labels(config: Config) -> Labels:
    """The models by label, as Tortoise finds them."""
    apps = config.tortoise_without_aerich()["apps"]
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
        modules = [] if label in shared else [module for module in app["models"] if module not in AERICH]
        for module in modules:
            for model in models_in(module):
                owner = model.__module__.partition(".")[0]
                if (
                    owner != config.SERVER_NAME
                    and ".model_db." in model.__module__
                    and model._meta.app in (None, label)
                ):
                    yield _(
                        "{module} imports {model} of {origin}, whose tables aerich would migrate with those of "
                        "{service}. Add {origin!r} to MODEL_EXTRA.",
                        module=module,
                        model=model.__name__,
                        origin=model.__module__,
                        service=config.SERVER_NAME,
                    )


def _references(model: type[Model]) -> Iterator[tuple[str, str]]:
    """The relations that the model declares by a string, with that string."""
    for name, field in model._meta.fields_map.items():
        written = getattr(field, "model_name", None)
        if isinstance(field, RelationalField) and isinstance(written, str) and not getattr(field, "_generated", False):
            yield name, written


def _is_known(reference: str, labels: Labels) -> bool:
    label, name = [*reference.split(".", 1), ""][:2]
    return name in labels.get(label, ())


def _cause(reference: str, labels: Labels) -> str:
    label = reference.partition(".")[0]
    if label not in labels:
        return _("and there is no label {label!r}, only {labels}", label=label, labels=", ".join(map(repr, labels)))
    if names := [name for name in labels[label] if name != "Aerich"]:
        return _("and the label {label!r} has only {models}", label=label, models=", ".join(names))
    return _("and the label {label!r} has no models", label=label)


def _remedy(reference: str, labels: Labels, config: Config) -> str:
    label, name = ["", *reference.rsplit(".", 1)][-2:]
    if written := [f"{other}.{name}" for other, app in labels.items() if name in app]:
        return _("Write {references}.", references=_(" or ").join(map(repr, written)))
    if module := _defining(config.project_dir(), label, name, config.SERVER_NAME):
        owner, file = module.split(".model_db.")
        setting, entry = ("MODEL_LIST", file) if owner == config.SERVER_NAME else ("MODEL_EXTRA", module)
        return _(
            "It is in {module}: add {entry!r} to {setting}, and write {reference!r}.",
            module=module,
            entry=entry,
            setting=setting,
            reference=".".join((owner, name)),
        )
    references = [f"{other}.{model}" for other, app in labels.items() for model in app if model != "Aerich"]
    if near := difflib.get_close_matches(reference, references, n=1):
        return _("Did you mean {reference!r}?", reference=near[0])
    return _(
        "Correct it, or add the file that has {name} to MODEL_LIST, or another service's to MODEL_EXTRA.", name=name
    )


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
