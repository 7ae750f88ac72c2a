"""Databases on a server: what a start says about their migrations, and that following it works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sanicbase.testing import fresh_mysql_database, fresh_postgres_database
from tests.db.project import ARTICLE, KINDS, SERVERS, VISIT, Project, Store, shop

INIT = "aerich init -t shop.config.migrate_db && aerich init-db"
FRESH = {"postgres": fresh_postgres_database, "mysql": fresh_mysql_database}
PROD = {"ENV": "prod", "REDIS_URL": "embedded://"}
SLUG = "    slug = fields.CharField(max_length=50, null=True)\n"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def follow(project: Project, output: str) -> None:
    """Do what the sentences say, in their order."""
    commands = re.findall(r"Run: (.*)", output)
    assert commands
    for command in commands:
        project.shell(command)


@pytest.mark.parametrize("kind", SERVERS)
def test_start_names_the_command_and_applies_nothing(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    sentence = f"The database has no table article, visit, and shop has no migrations. Run: {INIT}\n"
    assert project.start() == f"WARNING {sentence}"
    project.set(**PROD)
    assert project.start() == f"MigrationError {sentence}"
    assert store.tables() == set()
    follow(project, sentence)
    assert store.tables() == {"aerich", "article", "visit"}

    project.models("main", ARTICLE + SLUG)
    project.aerich("migrate")
    sentence = f"1 migration of shop is not applied ({project.migrations()[-1].name}). Run: aerich upgrade\n"
    assert project.start() == f"MigrationError {sentence}"
    project.set(ENV="dev")
    assert project.start() == f"WARNING {sentence}"
    assert "article.slug" not in store.columns()
    follow(project, sentence)
    assert "article.slug" in store.columns()
    assert project.start() == ""


def named(project: Project, kind: str, request: pytest.FixtureRequest, stack: ExitStack) -> tuple[Store, Store]:
    """Two new databases, the records in the second one."""
    if kind == "embedded":
        default = Store.of(kind, project, request)
        log = Store(kind, default.where.replace("shop.sqlite3", "shop_log.sqlite3"))
    else:
        server = request.getfixturevalue(f"{kind}_server_url")
        default, log = (Store(kind, stack.enter_context(FRESH[kind](server))) for _ in range(2))
        project.set(DB_URL=default.where)
    url = "embedded://" if kind == "embedded" else log.where
    project.set(DB_CONNECTIONS=json.dumps({"log": url}), DB_MODELS=json.dumps({"log": ["records"]}))
    return default, log


@pytest.mark.parametrize("kind", KINDS)
def test_named_connection_has_migrations_of_its_own(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, stack: ExitStack
) -> None:
    project = shop(tmp_path)
    default, log = named(project, kind, request, stack)
    output = project.start()
    if kind == "embedded":
        assert "Created the tables visit in" in output
        output = f"Run: {INIT} && aerich --app shop_log init-db"
    # The last sentence will do, for aerich needs its own table, which is in the default database, first.
    follow(project, output.splitlines()[-1])
    extra = {"foreign_word"} if kind == "embedded" else set()
    assert default.tables() == {"aerich", "article"} | extra
    assert log.tables() == {"visit"}
    assert [len(project.migrations(label)) for label in ("shop", "shop_log")] == [1, 1]
    assert project.start() == ""

    project.models("records", VISIT + SLUG)
    project.aerich("--app", "shop_log", "migrate")
    output = project.start()
    name = project.migrations("shop_log")[-1].name
    assert output == f"WARNING 1 migration of shop_log is not applied ({name}). Run: aerich --app shop_log upgrade\n"
    follow(project, output)
    assert "visit.slug" in log.columns()
    assert_new_databases_are_migrated(project, kind, request, stack)


def assert_new_databases_are_migrated(
    project: Project, kind: str, request: pytest.FixtureRequest, stack: ExitStack
) -> None:
    """As on the machine of a colleague, who has the files and nothing else."""
    default, log = named(project, kind, request, stack)
    if kind == "embedded":
        Path(default.where).unlink()
        Path(log.where).unlink()
        assert "Created the tables visit" in project.start()
    else:
        output = project.start()
        assert output.count("WARNING") == 2
        follow(project, output.splitlines()[-1])
    assert "visit.slug" in log.columns()
    assert project.start() == ""


@pytest.mark.parametrize("kind", SERVERS)
def test_service_with_named_models_only_is_migrated(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, stack: ExitStack
) -> None:
    project = shop(tmp_path)
    default, log = named(project, kind, request, stack)
    project.set(MODEL_LIST="records")
    output = project.start()
    assert output.count("WARNING") == 1
    follow(project, output)
    assert (default.tables(), log.tables()) == ({"aerich"}, {"visit"})
    assert project.start() == ""


@pytest.mark.xdist_group("postgres")
def test_embedded_default_notes_what_was_done_to_a_server(
    tmp_path: Path, request: pytest.FixtureRequest, stack: ExitStack
) -> None:
    project = shop(tmp_path)
    _, log = named(project, "postgres", request, stack)
    project.set(DB_URL="embedded://")
    output = project.start()
    assert "Created the tables aerich, article, foreign_word in the embedded database" in output
    project.shell(INIT)
    follow(project, output)
    assert log.tables() == {"visit"}
    assert project.start() == ""


@pytest.mark.xdist_group("postgres")
def test_embedded_database_beside_a_server_follows_the_models(
    tmp_path: Path, request: pytest.FixtureRequest, stack: ExitStack
) -> None:
    project = shop(tmp_path)
    named(project, "postgres", request, stack)
    project.shell(f"{INIT} && aerich --app shop_log init-db")
    project.set(DB_CONNECTIONS=json.dumps({"log": "embedded://"}))
    assert "Created the tables visit in the embedded database" in project.start()
    assert project.start() == ""


@pytest.mark.xdist_group("postgres")
def test_service_that_began_on_sqlite_goes_to_a_server(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    project.shell(INIT)
    store = Store.of("postgres", project, request)
    output = project.start()
    assert output.startswith(
        "WARNING The migrations in migrations/shop are written for SQLite, but shop uses PostgreSQL. "
        "Run: aerich init -t shop.config.migrate_db --location ./migrations/postgres && aerich init-db"
    )
    follow(project, output)
    assert "article" in store.tables()
    assert project.start() == ""
    assert len(list((tmp_path / "migrations" / "postgres" / "shop").glob("0_*.py"))) == 1

    project.models("main", ARTICLE + SLUG)
    project.aerich("migrate")
    output = project.start()
    assert output.endswith(" Run: aerich upgrade\n")
    follow(project, output)
    assert project.start() == ""

    project.set(DB_URL="embedded://")  # a colleague's machine, which goes on with SQLite
    assert "not applied" not in project.start()
