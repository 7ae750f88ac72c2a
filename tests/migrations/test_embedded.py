"""The tables of an embedded SQLite: who makes them, when, and what aerich finds afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.db.project import ARTICLE, SERVERS, WORD, Project, Store, shop

TABLES = {"aerich", "article", "visit", "foreign_word"}
MADE = "INFO Created the tables aerich, article, foreign_word, visit in the embedded database "
INIT = "aerich init -t shop.config.migrate_db && aerich init-db"
SLUG = "    slug = fields.CharField(max_length=50, null=True, db_index=True)\n"


def forget(project: Project) -> None:
    """The project as it is on a machine where it was never started."""
    shutil.rmtree(project.folder / ".sanicbase")


def test_the_first_start_creates_the_tables_and_logs_it(tmp_path: Path) -> None:
    project = shop(tmp_path)
    assert project.start() == f"{MADE}{tmp_path}/.sanicbase/shop.sqlite3.\n"
    assert Store.embedded(project).tables() == TABLES
    assert project.start() == ""


def test_later_start_makes_the_tables_of_new_models(tmp_path: Path) -> None:
    project = shop(tmp_path)
    project.start()
    tag = (
        "class Tag(Model):\n    id = fields.IntField(primary_key=True)\n"
        '    articles = fields.ManyToManyField("shop.Article")\n'
    )
    project.models("main", ARTICLE, tag)
    assert "Created the tables tag, tag_article in" in project.start()
    assert project.start() == ""


def test_changed_model_without_migrations_names_the_next_command(tmp_path: Path) -> None:
    project = shop(tmp_path)
    project.start()
    project.models("main", ARTICLE + SLUG)
    output = project.start()
    file = tmp_path / ".sanicbase" / "shop.sqlite3"
    assert output.startswith(f"WARNING The tables in the embedded database {file} do not have article.slug. Delete")
    file.unlink()
    assert project.start() == f"{MADE}{file}.\n"
    assert "article.slug" in Store.embedded(project).columns()


def test_sqlite_migrations_are_applied_to_an_empty_database(tmp_path: Path) -> None:
    project = shop(tmp_path)
    project.shell(INIT)
    project.models("main", ARTICLE + SLUG)
    project.aerich("migrate")
    written = project.migrations()[-1]
    text = written.read_text()
    begin = text.index('return """') + len('return """')
    written.write_text(f"{text[:begin]}INSERT INTO article (title) VALUES ('seed');{text[begin:]}")
    forget(project)
    assert project.start().startswith(MADE)
    assert Store.embedded(project).tables() == TABLES | {"sanicbase_journal"}
    assert Store.embedded(project).ask("SELECT title, slug FROM article") == [("seed", None)]
    assert "No upgrade items found" in project.aerich("upgrade")
    assert project.start() == ""


def test_migrations_are_not_applied_to_a_database_that_has_tables(tmp_path: Path) -> None:
    project = shop(tmp_path)
    project.shell(INIT)
    project.models("main", ARTICLE + SLUG)
    project.models("extra", WORD, WORD.replace("Word", "Name").replace("foreign_word", "foreign_name"))
    project.aerich("migrate")
    output = project.start()
    assert "Created the tables foreign_name, foreign_word in" in output
    assert (
        f"WARNING 1 migration of shop is not applied ({project.migrations()[-1].name}). Run: aerich upgrade" in output
    )
    assert "article.slug" not in Store.embedded(project).columns()
    project.aerich("upgrade")
    assert project.start() == ""


@pytest.mark.parametrize("kind", SERVERS)
def test_migrations_of_another_database_are_marked_as_applied(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    project = shop(tmp_path)
    Store.of(kind, project, request)
    project.shell(INIT)
    project.models("main", ARTICLE + SLUG)
    project.aerich("migrate")
    versions = [(path.name,) for path in project.migrations()]
    project.set(DB_URL="embedded://")
    assert project.start().startswith(MADE)
    assert Store.embedded(project).tables() == TABLES
    assert "article.slug" in Store.embedded(project).columns()
    assert Store.embedded(project).ask("SELECT version FROM aerich ORDER BY id") == versions
    assert "No upgrade items found" in project.aerich("upgrade")
    assert_later_one_cannot_be_followed(project)


def assert_later_one_cannot_be_followed(project: Project) -> None:
    """A start says so, and what to do; that is done, and the next start has nothing to say."""
    last = project.migrations()[-1]
    later = last.with_name(last.name.replace("1_", "2_", 1))
    shutil.copy(last, later)
    file = project.folder / ".sanicbase" / "shop.sqlite3"
    output = project.start()
    assert f"WARNING 1 migration of shop is not applied ({later.name}). They are written for another database" in output
    assert f"cannot be applied to the embedded {file}. Delete the file" in output
    file.unlink()
    assert project.start() == f"{MADE}{file}.\n"


def test_aerich_takes_over_after_the_first_start(tmp_path: Path) -> None:
    project = shop(tmp_path)
    project.start()
    Store.embedded(project).ask("INSERT INTO article (title) VALUES ('one')")
    assert "Success writing schemas" in project.shell(INIT)
    project.models("main", ARTICLE + SLUG)
    project.shell("aerich migrate && aerich upgrade")
    assert Store.embedded(project).ask("SELECT title, slug FROM article") == [("one", None)]
    assert project.start() == ""


@pytest.mark.parametrize("migrated", [False, True], ids=["models", "migrations"])
def test_processes_that_start_at_once_make_the_tables_once(tmp_path: Path, migrated: bool) -> None:
    project = shop(tmp_path)
    if migrated:
        project.shell(INIT)
        forget(project)
    processes = [project.popen_start() for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    output = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(output)[:3] == ["", "", ""]
    assert sorted(output)[3].startswith(MADE)
    assert {process.returncode for process in processes} == {0}
    assert Store.embedded(project).ask("SELECT count(*) FROM aerich") == [(int(migrated),)]
