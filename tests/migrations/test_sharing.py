"""Two services on one database, one of which uses the models of the other: who makes which tables, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.db.project import SERVERS, Project, Store

CONFIG = """\
from sanicbase import Config


class Settings(Config):
    SERVER_NAME = "{name}"
    MODEL_LIST = ["main"]
{more}

config = Settings()
migrate_db = config.migrate_db()
"""
SHARING = '    MODEL_EXTRA = ["shop.model_db.main"]\n    DB_URL = "embedded://shop"\n'
GOODS = """\
from tortoise import fields
from sanicbase import DBModel


class Maker(DBModel):
    name = fields.CharField(max_length=40)


class Goods(DBModel):
    name = fields.CharField(max_length=40)
    maker = fields.ForeignKeyField("shop.Maker", related_name="goods", db_index=True)
"""
# The import is what an author writes for an annotation, and must not make Goods a model of office.
ORDER = """\
from tortoise import fields
from sanicbase import DBModel
from shop.model_db.main import Goods


class Order(DBModel):
    goods: fields.ForeignKeyRelation[Goods] = fields.ForeignKeyField("shop.Goods", related_name="orders", db_index=True)
    gifts = fields.ManyToManyField("shop.Goods", related_name="given_with", through="office_gift")

    class Meta:
        table = "office_order"
"""
CHANGED = '    other = fields.ForeignKeyField("shop.Goods", related_name="others", null=True)\n'
NOTE = """

class Note(DBModel):
    maker = fields.ForeignKeyField("shop.Maker", related_name="notes")
    about = fields.ManyToManyField("shop.Goods", related_name="notes", through="office_about")

    class Meta:
        table = "office_note"
"""
SHOP, OFFICE = {"maker", "goods"}, {"office_order", "office_gift"}
NOTED = {"office_note", "office_about"}
USED = """
import asyncio
from sanicbase.db import Database
from office.config import config
from office.model_db.main import Order
from shop.model_db.main import Goods, Maker

async def main():
    async with Database(config):
        goods = await Goods.create(name="tea", maker=await Maker.create(name="ann"))
        order = await Order.create(goods=goods)
        await order.gifts.add(goods)
        (found,) = await Goods.filter(orders__gifts__maker__name="ann").prefetch_related("orders", "maker")
        print(found.maker.name, len(found.orders))

asyncio.run(main())
"""


def office(folder: Path) -> Project:
    """A project of shop and office, in which office's orders are of shop's goods."""
    project = Project(folder, "office")
    project.write("pyproject.toml", '[project]\nname = "office"\n')
    for name, more, models in (("shop", "", GOODS), ("office", SHARING, ORDER)):
        project.write(f"{name}/__init__.py", "")
        project.write(f"{name}/config/__init__.py", CONFIG.format(name=name, more=more))
        project.write(f"{name}/model_db/__init__.py", "")
        project.write(f"{name}/model_db/main.py", models)
    return project


def on_server(project: Project, kind: str, request: pytest.FixtureRequest) -> Store:
    store = Store.of(kind, project, request)
    project.env["SHOP_DB_URL"] = store.where
    return store


def initialized(project: Project, *names: str) -> None:
    for name in names:
        project.shell(f"aerich init -t {name}.config.migrate_db && aerich init-db")


def well(project: Project, name: str) -> bool:
    return "no problems found" in project.command("-m", "sanicbase", "doctor", name)


@pytest.mark.parametrize("kind", SERVERS)
def test_each_service_migrates_its_own_tables_and_may_refer_to_the_others(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project = office(tmp_path)
    store = on_server(project, kind, request)
    initialized(project, "shop")
    assert store.tables() == {*SHOP, "aerich"}
    initialized(project, "office")
    assert store.tables() == {*SHOP, *OFFICE, "aerich"}
    (first,) = project.migrations("office")
    assert "office_order" in first.read_text()
    assert not [name for name in SHOP for quote in '"`' if f"EXISTS {quote}{name}{quote}" in first.read_text()]
    assert project.python(USED) == "ann 1\n"

    project.write("office/model_db/main.py", ORDER.replace("\n    class Meta", f"{CHANGED}\n    class Meta") + NOTE)
    with pytest.raises(AssertionError, match=r"migrations\.unwritten"):
        well(project, "office")
    project.shell("aerich migrate && aerich upgrade")
    assert store.tables() == {*SHOP, *OFFICE, *NOTED, "aerich"}
    assert "office_order.other_id" in store.columns()
    assert well(project, "office")
    assert well(project, "shop")

    project.write("office/model_db/main.py", ORDER)
    project.shell("aerich migrate && aerich upgrade")
    assert store.tables() == {*SHOP, *OFFICE, "aerich"}
    project.shell("sanicGuider migrate down office --no-input")
    assert "office_order.other_id" in store.columns()
    assert [file.name[0] for file in project.migrations("shop")] == ["0"]


def test_the_owner_of_the_tables_is_migrated_first(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = office(tmp_path)
    store = on_server(project, "postgres", request)
    with pytest.raises(AssertionError, match="Migrate shop first: sanicGuider migrate up shop"):
        initialized(project, "office")
    assert "The database has no table goods, maker, which shop migrates. Run: aerich init -t shop" in project.start()
    initialized(project, "shop", "office")

    for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):  # as on a new machine
        store.ask(statement)
    with pytest.raises(AssertionError, match="Migrate shop first: sanicGuider migrate up shop"):
        project.shell("python -m sanicbase migrate up office")
    assert "which shop migrates. Run: sanicGuider migrate up shop" in project.start()
    report = project.shell("python -m sanicbase migrate up --all")  # office comes first by its name
    assert report.index("shop/0_") < report.index("office/0_")
    assert "WARNING" not in project.start()


def test_a_service_that_its_owner_has_left_behind_says_so(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = office(tmp_path)
    on_server(project, "postgres", request)
    initialized(project, "shop", "office")
    project.write("shop/model_db/main.py", GOODS + "    price = fields.IntField(default=0)\n")
    project.shell("aerich init -t shop.config.migrate_db && aerich migrate --name price")
    assert "1 migration of shop is not applied" in project.start()
    assert "Run: sanicGuider migrate up shop" in project.start()


@pytest.mark.parametrize("first", ["shop", "office"])
@pytest.mark.parametrize("migrations", [False, True])
def test_the_first_process_creates_an_embedded_file(tmp_path: Path, first: str, *, migrations: bool) -> None:
    project = office(tmp_path)
    store = Store("embedded", str(tmp_path / ".sanicbase" / "shop.sqlite3"))
    if migrations:
        initialized(project, "shop", "office")
        (tmp_path / ".sanicbase" / "shop.sqlite3").unlink()
    for name in (first, "office" if first == "shop" else "shop"):
        project.name = name
        assert "WARNING" not in project.start()
    assert store.tables() - {"aerich", "sanicbase_journal"} == SHOP | OFFICE
    assert project.python(USED) == "ann 1\n"
    assert not (tmp_path / ".sanicbase" / "office.sqlite3").exists()
    assert well(project, "office")
    assert well(project, "shop")


def test_services_may_use_each_others_models(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = office(tmp_path)
    store = on_server(project, "postgres", request)
    project.write(
        "shop/config/__init__.py", CONFIG.format(name="shop", more='    MODEL_EXTRA = ["office.model_db.main"]\n')
    )
    initialized(project, "shop")
    assert store.tables() == {*SHOP, "aerich"}
    initialized(project, "office")
    assert store.tables() == {*SHOP, *OFFICE, "aerich"}
    assert well(project, "shop")
    project.write("shop/model_db/main.py", GOODS + "    price = fields.IntField(default=0)\n")
    project.shell("aerich init -t shop.config.migrate_db && aerich migrate && aerich upgrade")
    assert store.tables() == {*SHOP, *OFFICE, "aerich"}
    assert "office" not in project.migrations("shop")[-1].read_text().partition("MODELS_STATE")[0]
