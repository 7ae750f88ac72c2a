"""What aerich has to leave to others, and to know of them: models of other services beside a service's own.

aerich writes the tables of all models on a connection into a label's first migration, and looks for what a relation
leads to in the label only. Both are put right for the whole process, when `sanicbase.migrations.aerich` is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aerich
from aerich.migrate import Migrate
from aerich.utils import get_models_describe
from tortoise import Tortoise
from tortoise.models import Model

from sanicbase.errors import MigrationError
from sanicbase.migrations.versions import refuse_before_owners
from sanicbase.terminal import say

__all__ = ["share_with_aerich"]

Described = dict[str, dict[str, Any]]
Items = list[tuple[str, dict[str, Any], type[Model]]]

_diff_models = Migrate.diff_models.__func__  # type: ignore[attr-defined]
_handle_add_models = Migrate._handle_add_models.__func__  # type: ignore[attr-defined]


def share_with_aerich() -> None:
    """Have aerich keep to the label that it was called for."""
    aerich.get_schema_sql = _schema  # type: ignore[attr-defined]
    aerich.generate_schema_for_client = _make_schema  # type: ignore[attr-defined]
    Migrate.diff_models = classmethod(_diff_models_of_label)  # type: ignore[method-assign, assignment]
    Migrate._handle_add_models = classmethod(_add_models_of_label)  # type: ignore[method-assign, assignment]


def _schema(client: Any, safe: bool) -> str:
    """The tables of the label on this connection, and of no other one."""
    generator, own = client.schema_generator(client), _own(client)
    tables, table_of = {model._meta.db_table for model in own}, generator._get_table_sql

    def table_among_own(model: type[Model], safe: bool = True) -> dict[str, Any]:
        parts: dict[str, Any] = table_of(model, safe)
        return {**parts, "references": parts["references"] & tables}  # the others are there before

    generator._get_models_to_create = lambda: own
    generator._get_table_sql = table_among_own
    schema: str = generator.get_create_schema_sql(safe)
    return schema


def _own(client: Any) -> list[type[Model]]:
    every = client.schema_generator(client)._get_models_to_create()
    return [model for model in every if model._meta.app == Migrate.app]


async def _make_schema(client: Any, safe: bool) -> None:
    await refuse_before_owners(Migrate.app, _own(client))
    if schema := _schema(client, safe):
        await client.schema_generator(client).generate_from_string(schema)


class _Known(dict[str, dict[str, Any]]):
    """The models of a label as aerich describes them; asked for one by name, it knows those of other labels too."""

    def __init__(self, label: str, models: Described) -> None:
        super().__init__(models)
        self.label = label

    def __missing__(self, name: str) -> dict[str, Any]:
        label, _, _ = name.partition(".")
        described = get_models_describe(label) if label in Tortoise.apps else {}
        if name not in described:
            raise MigrationError(
                say(
                    f"The migration is about a relation to {name}, which is not among the models now. Keep its file in "
                    "MODEL_EXTRA until a migration has taken the relation away.",
                    f"这次迁移涉及到 {name} 的关联，而模型中现在没有它。"
                    "在迁移去掉该关联之前，请把它的文件留在 MODEL_EXTRA 中。",
                )
            )
        return described[name]

    def get(self, name: str, default: Any = None) -> Any:
        label, _, _ = name.partition(".")
        return self[name] if name in self or label != self.label else default


def _of_label(label: str, models: Described) -> Described:
    """The models without the far ends of relations that another service has declared: their tables are its own."""

    def is_own(field: dict[str, Any]) -> bool:
        return not field.get("_generated") or str(field["model_name"]).startswith(f"{label}.")

    return _Known(
        label,
        {
            name: {**model, "m2m_fields": [field for field in model.get("m2m_fields", []) if is_own(field)]}
            for name, model in models.items()
        },
    )


def _diff_models_of_label(
    cls: type[Migrate], old_models: Described, new_models: Described, upgrade: bool = True, no_input: bool = False
) -> None:
    if old_models and new_models:
        old_models, new_models = _of_label(cls.app, old_models), _of_label(cls.app, new_models)
    _diff_models(cls, old_models, new_models, upgrade, no_input)


def _add_models_of_label(
    cls: type[Migrate],
    upgrade: bool,
    new_models: Described,
    new_table_items: Items,
    other_table_items: Iterable[tuple[str, dict[str, Any], Any]] | None = None,
) -> None:
    others: Items = [(model._meta.full_name, {}, model) for app in Tortoise.apps.values() for model in app.values()]
    foreign = [each for each in others if not each[0].startswith(f"{cls.app}.")]
    _handle_add_models(cls, upgrade, new_models, new_table_items, [*(other_table_items or ()), *foreign])
