"""The plan of a model, or of an API, for a table that the database has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sanicbase.cli.adding.columns import columns_of
from sanicbase.cli.adding.fromtable.existing import Existing, existing_table
from sanicbase.cli.adding.fromtable.model import model_of
from sanicbase.cli.adding.naming import names_of
from sanicbase.cli.adding.pieces import Texts, model_texts, plan_piece, sampled_of, with_conftest
from sanicbase.cli.adding.service import Place
from sanicbase.cli.making.names import check_file_name
from sanicbase.cli.making.plan import Plan
from sanicbase.cli.making.templates import render
from sanicbase.i18n import gettext as _

__all__ = ["plan_of_table"]


def plan_of_table(
    kind: str, name: str, place: Place, table: str, connection: str, *, file: str = "", text_ids: bool = False
) -> tuple[Plan, tuple[str, ...]]:
    """What adding the model `name` of that table changes, and with the kind `api` its API; and sentences about it.

    Raises ValueError or SanicBaseError with a sentence; nothing is written in any case.
    """
    place.check_parses()
    existing = existing_table(place.name, table, connection)
    values = place.values() | names_of(kind, name, place.name)
    known = existing.models.get(table)
    if known is not None and known.name != values["Thing"]:
        raise ValueError(
            _(
                "{table} has a model already, {model} in {module}. Use that name.",
                table=table,
                model=known.name,
                module=known.module,
            )
        )
    texts, told = ({}, ()) if known else _model(place, values, existing, file)
    if kind == "api":
        planned = replace(place, project=replace(place.project, planned=texts))
        plan = plan_piece("api", name, planned, text_ids=text_ids)
        texts |= {change.path: change.after for change in plan.changes}
    return Plan.of(place.project, texts), told


def _model(place: Place, values: dict[str, Any], existing: Existing, file: str) -> tuple[Texts, tuple[str, ...]]:
    name = values["Thing"]
    if (there := columns_of(place.project, place.name, name)) is not None:
        raise ValueError(
            _(
                "{module} has a class {model} already, of another table. Choose another name.",
                module=there.module,
                model=there.model,
            )
        )
    file = _file(place, existing, file)
    module = f"{place.name}.model_db.{file}"
    migrated = file not in place.model_files("MODEL_EXTRA")
    future = "from __future__ import annotations" in place.text(f"model_db/{file}.py")
    made = model_of(existing, name, values["things"], module, migrated=migrated, quoted=not future)
    texts = model_texts(place, values, file, made.source, sorted(made.imports))
    if migrated:
        texts |= _test(place, values | {"module": module}, texts)
    return with_conftest(place, values, texts), made.told


def _test(place: Place, values: dict[str, Any], texts: Texts) -> Texts:
    """A test that writes a row and reads it; none when it knows no value for one of the columns."""
    columns = columns_of(replace(place.project, planned=texts), place.name, values["Thing"])
    path = f"tests/{place.name}/test_{values['thing']}_model.py"
    given = sampled_of(columns) if columns else []
    if not given or place.project.text(path) is not None:
        return {}
    return {path: render("pieces/test_row.py.j2", values | {"given": given})}


def _file(place: Place, existing: Existing, file: str) -> str:
    """The file of `model_db/` for it. Raises ValueError for one whose models are on another connection."""
    listed = [*place.model_files("MODEL_LIST"), *place.model_files("MODEL_EXTRA")]
    if file:
        check_file_name(file)
    elif existing.files:
        return existing.files[0]
    if file in existing.files or (file not in listed and existing.label == place.name and file):
        return file
    connection = existing.label.removeprefix(f"{place.name}_")
    wanted = file or "records"
    models, migrated = f'DB_MODELS = {{"{connection}": ["{wanted}"]}}', f'MODEL_LIST = [..., "{wanted}"]'
    if file:
        raise ValueError(
            _(
                "The models of {file} are not on the connection {connection}. Name its files in the settings: "
                "{models}, {migrated}",
                file=file,
                connection=connection,
                models=models,
                migrated=migrated,
            )
        )
    raise ValueError(
        _(
            "No model file is on the connection {connection}. Name its files in the settings: {models}, {migrated}",
            connection=connection,
            models=models,
            migrated=migrated,
        )
    )
