"""`sanicGuider doctor` about migrations: the danger comes before the command, and the command works."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.db.project import ARTICLE, KINDS, SERVERS, Project, Store, shop
from tests.migrations.desk import FILE
from tests.preloaded import preloaded

INIT = "aerich init -t shop.config.migrate_db && aerich init-db"
PRICE = "    price = fields.IntField()\n"
MIGRATE = ("-m", "sanicbase", "migrate")
STORY = ARTICLE.replace("class Article", "class Story").replace("title = ", "name = ") + (
    "    text = fields.TextField()\n    place = fields.IntField()\n"
)
TAG = """\
class Tag(Model):
    id = fields.IntField(primary_key=True)
    articles = fields.ManyToManyField("shop.Article")
"""


def findings_of(project: Project) -> list[dict[str, str]]:
    """What doctor says about the database, in its order."""
    output = subprocess.run(
        preloaded("-m", "sanicbase", "doctor", "shop", "--json"),
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    findings: list[dict[str, str]] = json.loads(output)
    return [
        finding for finding in findings if not finding["code"].startswith(("setting.", "redis.", "python.", "package."))
    ]


def begun(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> tuple[Project, Store]:
    """A service with a row in its table."""
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    project.shell(INIT)
    store.ask("INSERT INTO article (title) VALUES ('one')")
    assert findings_of(project) == []
    return project, store


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_no_row_can_have(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project, store = begun(tmp_path, kind, request)
    project.models("main", ARTICLE + PRICE)
    danger, unwritten = findings_of(project)
    assert (danger["code"], unwritten["code"]) == ("column.not-null", "migrations.unwritten")
    assert unwritten["remedy"] == "Resolve the findings above, then run: aerich migrate && aerich upgrade"
    project.models("main", ARTICLE + PRICE.replace("()", "(default=7)"))
    (unwritten,) = findings_of(project)
    project.shell(unwritten["remedy"].removeprefix("Run: "))
    assert store.ask("SELECT price FROM article") == [(7,)]
    assert findings_of(project) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_with_another_name(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project, store = begun(tmp_path, kind, request)
    project.models("main", STORY)
    danger, _ = findings_of(project)
    assert (danger["code"], "article is dropped with its 1 row" in danger["sentence"]) == ("table.drop", True)
    project.models("main", ARTICLE.replace("Article", "Story"))
    (question,) = findings_of(project)
    assert question["sentence"].startswith("article was removed and story was added. Is it a rename?")
    assert "aerich migrate" not in question["remedy"]
    project.command(*MIGRATE, "make", "shop", "--rename", "article:story")
    project.command(*MIGRATE, "up", "shop")
    assert store.ask("SELECT title FROM story") == [("one",)]
    assert findings_of(project) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_between_two_models_without_its_unique_index(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    project.models("main", ARTICLE, TAG)
    project.shell(INIT)
    assert findings_of(project) == []
    name = re.search(r"uidx_tag_article_\w+", project.migrations()[0].read_text())
    assert name is not None
    if kind == "mysql":
        store.ask("ALTER TABLE tag_article ADD INDEX other (tag_id)")  # for the reference, which has used it
    store.ask(f"DROP INDEX {name[0]}" + " ON tag_article" * (kind == "mysql"))
    (finding,) = findings_of(project)
    assert finding["code"] == "database.drift"
    assert "tag_article has no unique index on tag_id, article_id in the database" in finding["sentence"]


@pytest.mark.parametrize("kind", SERVERS)
def test_a_migration_that_is_written_for_another_database(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project, store = begun(tmp_path, kind, request)
    project.models("main", ARTICLE + "    slug = fields.CharField(max_length=9, null=True)\n")
    other = {"postgres": "mysql", "mysql": "sqlite"}[kind]
    head, up = f'DIALECT = "{other}"', "ALTER TABLE article ADD slug VARCHAR(9)"
    project.write("migrations/shop/1_1_slug.py", FILE.format(head=head, up=up, down="", tail=""))
    (finding,) = findings_of(project)
    assert finding["code"] == "migrations.pending"
    assert "upgrade" not in finding["remedy"]
    assert "migrate up" not in finding["remedy"]
    project.shell(f"mkdir -p migrations/{other}/shop && mv migrations/shop/1_1_slug.py migrations/{other}/shop")
    project.command(*MIGRATE, "make", "shop")
    project.command(*MIGRATE, "up", "shop")
    assert "article.slug" in store.columns()
    assert findings_of(project) == []


def test_an_embedded_database_with_migrations_of_a_server(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    project.write(
        "migrations/shop/0_1_init.py", FILE.format(head='DIALECT = "postgres"', up="SELECT 1", down="", tail="")
    )
    project.start()
    project.write(
        "migrations/shop/1_1_more.py", FILE.format(head='DIALECT = "postgres"', up="SELECT 1", down="", tail="")
    )
    (finding,) = findings_of(project)
    assert "upgrade" not in finding["remedy"]
    assert finding["remedy"].endswith("run before that: sanicGuider migrate init shop")
    project.command(*MIGRATE, "init", "shop")
    (tmp_path / ".sanicbase" / "shop.sqlite3").unlink()
    assert "Created the tables" in project.start()
    assert findings_of(project) == []
    assert [path.name.split("_")[0] for path in project.migrations("sqlite/shop")] == ["0"]
