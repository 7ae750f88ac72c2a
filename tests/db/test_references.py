"""A relation that leads nowhere is named at the start, with the model, the field, what there is, and the remedy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tortoise import Tortoise

from sanicbase import Config
from sanicbase.db import Database
from sanicbase.errors import ConfigError

HEAD = "from tortoise import fields\nfrom sanicbase import DBModel\n\n\n"
MODEL = "class {name}(DBModel):\n    text = fields.CharField(max_length=9)\n{relation}"
GOODS = HEAD + MODEL.format(name="Goods", relation="")

Written = Callable[..., Config]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """A project of two services, depot and bureau; the second is opened, with a relation of its model Order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    class BureauConfig(Config):
        SERVER_NAME = "bureau"

    def write(relation: str, files: dict[str, str] | None = None, **settings: Any) -> Config:
        order = HEAD + MODEL.format(name="Order", relation=f"    goods = fields.{relation}\n")
        texts = {"depot/model_db/main.py": GOODS, "bureau/model_db/main.py": order, **(files or {})}
        for path, text in texts.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return BureauConfig(**{"DB_URL": "sqlite://:memory:", **settings})

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in ("depot", "bureau")]:
        del sys.modules[name]


SHARED: dict[str, Any] = {"MODEL_EXTRA": ["depot.model_db.main"]}


@pytest.mark.parametrize(
    ("relation", "settings", "message"),
    [
        (
            'ForeignKeyField("models.Goods")',
            SHARED,
            "and there is no label 'models', only 'bureau', 'depot'. Write 'depot.Goods'.",
        ),
        (
            'ForeignKeyField("depot.Goods")',
            {},
            "and there is no label 'depot', only 'bureau'. It is in depot.model_db.main: add 'depot.model_db.main' to "
            "MODEL_EXTRA, and write 'depot.Goods'.",
        ),
        (
            'OneToOneField("models.Order")',
            {},
            "and there is no label 'models', only 'bureau'. Write 'bureau.Order'.",
        ),
        (
            'ManyToManyField("bureau.Ordr")',
            {},
            "and the label 'bureau' has only Order. Did you mean 'bureau.Order'?",
        ),
        (
            'ForeignKeyField("depot.Shelf")',
            SHARED,
            "and the label 'depot' has only Goods. Correct it, or add the file that has Shelf to MODEL_LIST, or "
            "another service's to MODEL_EXTRA.",
        ),
    ],
)
async def test_a_relation_to_nowhere_is_named(
    written: Written, relation: str, settings: dict[str, Any], message: str
) -> None:
    config = written(relation, **settings)
    reference = relation.split('"')[1]
    with pytest.raises(ConfigError) as excinfo:
        async with Database(config):
            pass
    assert str(excinfo.value) == f"Order.goods in bureau.model_db.main is a relation to {reference!r}, {message}"


async def test_a_model_in_a_file_that_is_not_listed_is_found(written: Written) -> None:
    config = written('ForeignKeyField("bureau.Goods")', {"bureau/model_db/records.py": GOODS})
    with pytest.raises(ConfigError, match=r"It is in bureau\.model_db\.records: add 'records' to MODEL_LIST"):
        async with Database(config):
            pass


async def test_after_the_error_is_fixed_the_same_process_opens_the_models(written: Written) -> None:
    with pytest.raises(ConfigError):
        async with Database(written('ForeignKeyField("depot.Goods")')):
            pass
    async with Database(written('ForeignKeyField("depot.Goods")', **SHARED)):
        order: Any = sys.modules["bureau.model_db.main"]
        assert order.Order._meta.fields_map["goods"].related_model.__module__ == "depot.model_db.main"


async def test_an_imported_model_that_is_not_listed_is_named(written: Written) -> None:
    imports = "from depot.model_db.main import Goods\n" + HEAD + MODEL.format(name="Order", relation="")
    config = written("", {"bureau/model_db/main.py": imports})
    with pytest.raises(ConfigError, match=r"bureau\.model_db\.main imports Goods of depot\.model_db\.main, whose .*"):
        async with Database(config):
            pass


async def test_a_model_keeps_its_label_whichever_module_imports_it(written: Written) -> None:
    imports = "from depot.model_db.main import Goods\n" + HEAD + MODEL.format(name="Order", relation="")
    async with Database(written("", {"bureau/model_db/main.py": imports}, **SHARED)):
        depot: ModuleType = sys.modules["depot.model_db.main"]
        assert depot.Goods._meta.app == "depot"


async def test_a_constraint_to_another_database_is_refused(written: Written) -> None:
    apart: dict[str, Any] = {
        "DB_CONNECTIONS": {"depot": "sqlite://:memory:"},
        "DB_MODELS": {"depot": SHARED["MODEL_EXTRA"]},
    }
    with pytest.raises(ConfigError, match="whose table is in another database, depot"):
        async with Database(written('ForeignKeyField("depot.Goods")', **SHARED, **apart)):
            pass


async def test_without_the_constraint_it_is_a_key_into_another_database(written: Written) -> None:
    apart: dict[str, Any] = {
        "DB_CONNECTIONS": {"depot": "sqlite://:memory:"},
        "DB_MODELS": {"depot": SHARED["MODEL_EXTRA"]},
    }
    async with Database(written('ForeignKeyField("depot.Goods", db_constraint=False)', **SHARED, **apart)) as database:
        await database.ping()
        assert Tortoise.apps["depot"]["Goods"]._meta.default_connection == "depot"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MODEL_LIST": ["depot.model_db.main"]}, "depot migrates its own models. Move it to MODEL_EXTRA"),
        ({"MODEL_EXTRA": ["bureau.model_db.main"]}, "write 'main' for a file of bureau"),
        ({"MODEL_EXTRA": ["depot.model_db.mian"]}, "there is no file .*depot/model_db/mian.py"),
        ({**SHARED, "DB_URL": ""}, "Set DB_URL to embedded://depot, or to the URL of depot's database"),
        (
            {
                "MODEL_EXTRA": ["depot.model_db.main", "depot.model_db.more"],
                "DB_CONNECTIONS": {"depot": "sqlite://:memory:"},
                "DB_MODELS": {"depot": ["depot.model_db.main"]},
            },
            "on several connections: keep one in DB_MODELS",
        ),
        ({"DB_URL": "embedded://../depot"}, "write it alone, or with a service's name"),
    ],
)
def test_models_of_others_are_named_as_they_can_be_used(
    written: Written, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        written('ForeignKeyField("depot.Goods")', {"depot/model_db/more.py": HEAD}, **settings)


@pytest.mark.parametrize(
    ("connection", "label"),
    [("default", "depot"), ("depot", "depot"), ("log", "depot_log"), ("depot_log", "depot_log")],
)
def test_a_label_is_the_one_that_its_owner_has(written: Written, connection: str, label: str) -> None:
    settings = dict(SHARED)
    if connection != "default":
        settings["DB_CONNECTIONS"] = {connection: "sqlite://:memory:"}
        settings["DB_MODELS"] = {connection: SHARED["MODEL_EXTRA"]}
    config = written('ForeignKeyField("depot.Goods", db_constraint=False)', **settings)
    assert config.shared_labels() == {label: "depot"}
    assert config.migrate_db()["apps"][label] == {"models": SHARED["MODEL_EXTRA"], "default_connection": connection}
    assert next(iter(config.migrate_db()["apps"])) == "bureau"  # which aerich takes when it is told none
