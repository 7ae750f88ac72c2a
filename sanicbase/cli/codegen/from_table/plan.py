"""Plans a model, or an API, for an existing table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sanicbase.cli.codegen.columns import columns_of
from sanicbase.cli.codegen.from_table.model import generate_model
from sanicbase.cli.codegen.from_table.source_table import SourceTable, read_source_table
from sanicbase.cli.codegen.generators import Texts, model_texts, plan_component, sampled_columns, with_conftest
from sanicbase.cli.codegen.naming import names_of
from sanicbase.cli.codegen.target import TargetService
from sanicbase.cli.scaffold.names import check_file_name
from sanicbase.cli.scaffold.plan import Plan
from sanicbase.cli.scaffold.templates import render
from sanicbase.i18n import gettext as _

__all__ = ["plan_of_table"]


def plan_of_table(
    kind: str, name: str, target: TargetService, table: str, connection: str, *, file: str = "", text_ids: bool = False
) -> tuple[Plan, tuple[str, ...]]:
    """The changes that add the model `name` of that table, and with the kind `api` its API; and notes about it.

    Raises ValueError or SanicBaseError with a sentence. Nothing is written.
    """
    target.check_parses()
    existing = read_source_table(target.name, table, connection)
    values = target.values() | names_of(kind, name, target.name)
    existing_model = existing.models.get(table)
    if existing_model is not None and existing_model.name != values["Thing"]:
        raise ValueError(
            _(
                "{table} already has a model, {model} in {module}. Use that name.",
                table=table,
                model=existing_model.name,
                module=existing_model.module,
            )
        )
    texts, notes = ({}, ()) if existing_model else _model(target, values, existing, file)
    if kind == "api":
        planned = replace(target, project=replace(target.project, planned=texts))
        plan = plan_component("api", name, planned, text_ids=text_ids)
        texts |= {change.path: change.after for change in plan.changes}
    return Plan.of(target.project, texts), notes


def _model(
    target: TargetService, values: dict[str, Any], existing: SourceTable, file: str
) -> tuple[Texts, tuple[str, ...]]:
    name = values["Thing"]
    if (existing_columns := columns_of(target.project, target.name, name)) is not None:
        raise ValueError(
            _(
                "{module} already has a class {model}, of another table. Choose another name.",
                module=existing_columns.module,
                model=existing_columns.model,
            )
        )
    file = _file(target, existing, file)
    module = f"{target.name}.model_db.{file}"
    migrated = file not in target.model_files("MODEL_EXTRA")
    future = "from __future__ import annotations" in target.text(f"model_db/{file}.py")
    generated = generate_model(existing, name, values["things"], module, migrated=migrated, quoted=not future)
    texts = model_texts(target, values, file, generated.source, sorted(generated.imports))
    if migrated:
        texts |= _test(target, values | {"module": module}, texts)
    return with_conftest(target, values, texts), generated.notes


def _test(target: TargetService, values: dict[str, Any], texts: Texts) -> Texts:
    """A test that writes a row and reads it; none when it has no value for a column."""
    columns = columns_of(replace(target.project, planned=texts), target.name, values["Thing"])
    path = f"tests/{target.name}/test_{values['thing']}_model.py"
    sampled = sampled_columns(columns) if columns else []
    if not sampled or target.project.text(path) is not None:
        return {}
    return {path: render("components/test_row.py.j2", values | {"given": sampled})}


def _file(target: TargetService, existing: SourceTable, file: str) -> str:
    """The file of `model_db/` for the model. Raises ValueError for one whose models use another connection."""
    listed = [*target.model_files("MODEL_LIST"), *target.model_files("MODEL_EXTRA")]
    if file:
        check_file_name(file)
    elif existing.files:
        return existing.files[0]
    if file in existing.files or (file not in listed and existing.label == target.name and file):
        return file
    connection = existing.label.removeprefix(f"{target.name}_")
    module = file or "records"
    models, migrated = f'DB_MODELS = {{"{connection}": ["{module}"]}}', f'MODEL_LIST = [..., "{module}"]'
    if file:
        raise ValueError(
            _(
                "The models of {file} do not use the connection {connection}. Assign files to it in the settings: "
                "{models}, {migrated}",
                file=file,
                connection=connection,
                models=models,
                migrated=migrated,
            )
        )
    raise ValueError(
        _(
            "No model file uses the connection {connection}. Assign files to it in the settings: {models}, {migrated}",
            connection=connection,
            models=models,
            migrated=migrated,
        )
    )
