"""The models of the example are as the guide recommends."""

from __future__ import annotations

import inspect

import pytest
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.models import Model

from xi_test.model_db import main

MODELS = [model for _, model in inspect.getmembers(main, inspect.isclass) if model.__module__ == main.__name__]


@pytest.mark.parametrize("model", MODELS)
def test_every_foreign_key_leads_an_index(model: type[Model]) -> None:
    meta = model._meta
    together = [columns for columns in (*meta.unique_together, *meta.indexes) if isinstance(columns, tuple)]
    leading = {columns[0] for columns in together}
    keys = {name for name, field in meta.fields_map.items() if isinstance(field, ForeignKeyFieldInstance)}
    indexed = {name for name in keys if meta.fields_map[name].index or name in leading or f"{name}_id" in leading}
    assert keys == indexed
