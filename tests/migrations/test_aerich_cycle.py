"""aerich as a user types it, from the project's folder, against the databases as they really are then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.db.project import ARTICLE, KINDS, WORD, Project, Store, shop

REPOSITORY = Path(__file__).parents[2]

BASE = {"article.id", "article.title", "visit.id", "visit.page"}
COMMENTS = {"comment.id", "comment.article_id", "comment.body"}
NOTES = {"aerich.id", "aerich.version", "aerich.app", "aerich.content"}
COMMENT = """\
class Comment(Model):
    id = fields.IntField(primary_key=True)
    article = fields.ForeignKeyField("shop.Article")
    body = fields.TextField()
"""
READ_EXTRA = """\
import asyncio
from sanicbase.db import Database
from sanicbase.migrations import prepare_tables
from shop.config import config

async def main():
    async with Database(config, prepare=prepare_tables):
        from shop.model_db.extra import Word
        await Word.create(word="nonsense")
        print([word.word for word in await Word.all()])

asyncio.run(main())
"""


def migrate(project: Project, name: str, *, answer: str = "") -> None:
    """A migration written and applied."""
    project.aerich("migrate", "--name", name, answer=answer)
    written = project.migrations()[-1]
    assert written.name.endswith(f"_{name}.py")
    assert f"Success upgrading to {written.name}" in project.aerich("upgrade")


@pytest.mark.parametrize("kind", KINDS)
def test_tables_and_columns_come_and_go_while_rows_stay(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    slug = "    slug = fields.CharField(max_length=50, null=True)\n"
    renamed = ARTICLE.replace("title", "headline")
    slugged, headlined = {*BASE, "article.slug"}, BASE - {"article.title"} | {"article.headline"}

    def columns() -> set[str]:
        return store.columns() - NOTES

    project.aerich("init", "-t", "shop.config.migrate_db")
    project.aerich("init-db")
    assert store.columns() == BASE | NOTES
    store.ask("INSERT INTO article (title) VALUES ('one')")

    project.models("main", ARTICLE + slug, COMMENT)
    migrate(project, "more")
    assert columns() == slugged | COMMENTS
    assert store.ask("SELECT title, slug FROM article") == [("one", None)]
    store.ask("INSERT INTO comment (article_id, body) VALUES (1, 'first')")

    project.models("main", renamed + slug, COMMENT)
    migrate(project, "rename", answer="y\n")
    assert columns() == headlined | COMMENTS | {"article.slug"}
    assert store.ask("SELECT headline FROM article") == [("one",)]
    assert store.ask("SELECT body FROM comment") == [("first",)]

    project.models("main", renamed)
    migrate(project, "less")
    assert columns() == headlined
    assert store.ask("SELECT headline FROM article") == [("one",)]

    project.aerich("downgrade", "--yes")
    assert columns() == headlined | COMMENTS | {"article.slug"}
    project.aerich("downgrade", "--yes")
    assert columns() == slugged | COMMENTS
    assert store.ask("SELECT title, slug FROM article") == [("one", None)]
    project.aerich("downgrade", "--yes")
    assert store.columns() == BASE | NOTES
    assert "No downgrade items found" in project.aerich("downgrade", "--yes")  # the first one stays

    assert project.aerich("upgrade").count("Success upgrading") == 3
    assert store.ask("SELECT headline FROM article") == [("one",)]


@pytest.mark.parametrize("kind", KINDS)
def test_extra_models_are_used_and_never_migrated(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    project.shell("aerich init -t shop.config.migrate_db && aerich init-db")
    assert "foreign_word" not in store.tables()
    if kind != "embedded":
        store.ask("CREATE TABLE foreign_word (word VARCHAR(40) PRIMARY KEY)")
    assert "['nonsense']" in project.python(READ_EXTRA)
    project.models("extra", WORD.replace('"foreign_word"', '"foreign_word"\n        table_description = "changed"'))
    assert "No changes detected" in project.aerich("migrate")
    assert ["foreign_word" in path.read_text() for path in project.migrations()] == [False]


@pytest.mark.parametrize("kind", KINDS)
def test_example_service_is_migrated(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    shutil.copytree(REPOSITORY / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    project = Project(tmp_path, "xi_test")
    store = Store.of(kind, project, request)
    project.aerich("init", "-t", "xi_test.config.migrate_db")
    assert "Success generating initial migration" in project.aerich("init-db")
    own = {"user", "user_token", "article", "comment", "access_record", "idempotency_key", "outbox"}
    assert store.tables() == {"aerich", *(f"xi_{name}" for name in own)}
    assert "No changes detected" in project.aerich("migrate")
    assert [path.parent.name for path in project.migrations()] == ["xi_test"]
    assert "WARNING" not in project.start()
