"""What is known of a migration's file before any database is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aerich import Command

from sanicbase.db.database import _clear_caches
from sanicbase.errors import MigrationError
from sanicbase.migrations.files import Migration, dialect_of_files, folder_of, migrations_in
from sanicbase.migrations.statements import Dialect
from tests.db.opening import STORES, Store
from tests.migrations.desk import DeskConfig

FILE = '''\
{head}

async def upgrade(db):
    return """{sql}"""


async def downgrade(db):
    return ""
'''
DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql"}
FIXTURES = {"postgres": "postgres_url", "aiomysql": "mysql_url"}


def written(folder: Path, name: str, sql: str, head: str = "") -> Migration:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(FILE.format(head=head, sql=sql), encoding="utf-8")
    return Migration(folder / name)


def test_order_is_by_number_and_not_by_a_clock(tmp_path: Path) -> None:
    for name in ("10_20260101000000_c.py", "2_20990101000000_b.py", "0_19700101000000_a.py"):
        written(tmp_path, name, "SELECT 1")
    for other in ("__init__.py", "notes.py", "1_x.txt"):
        (tmp_path / other).touch()
    assert [migration.name[-4] for migration in migrations_in(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize("kind", STORES[:3])
async def test_files_of_aerich_reveal_their_dialect(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = "sqlite://desk.sqlite3" if kind == "sqlite" else request.getfixturevalue(FIXTURES[kind])
    config = DeskConfig.on(Store(kind, url))
    _clear_caches()  # what Tortoise has worked out for a database of another kind
    async with Command(config.migrate_db(), app="desk", location="migrations") as command:
        await command.init_db(safe=True)
    (migration,) = migrations_in(tmp_path / "migrations" / "desk")
    text = "\n".join(line for line in migration.path.read_text().splitlines() if not line.startswith("DIALECT"))
    migration.path.write_text(text)
    assert dialect_of_files(migration.path.parent) == DIALECTS[kind]


@pytest.mark.parametrize(
    ("sql", "dialect"),
    [
        ("ALTER TABLE `a` ADD b INT", "mysql"),
        ('CREATE TABLE "a" ("id" INTEGER PRIMARY KEY AUTOINCREMENT)', "sqlite"),
        ('CREATE TABLE "a" ("id" BIGSERIAL NOT NULL)', "postgres"),
        ('ALTER TABLE "a" ALTER COLUMN "b" DROP NOT NULL', "postgres"),
        ('CREATE TABLE "a" ("b" TEXT DEFAULT \'a `SERIAL` JSONB\')', None),
        ('ALTER TABLE "a" ADD "b" INT', None),
        ('CREATE TABLE "a" ("id" INTEGER AUTOINCREMENT) /* It\'s a row of `a`. */;', "sqlite"),
        ("-- as in `a`\nALTER TABLE a ADD b INT /* a JSONB */", None),
    ],
)
def test_dialect_is_what_the_sql_spells(tmp_path: Path, sql: str, dialect: Dialect | None) -> None:
    assert written(tmp_path, "0_1_a.py", sql).dialect == dialect


def test_declared_dialect_goes_before_what_is_spelt(tmp_path: Path) -> None:
    assert written(tmp_path, "0_1_a.py", "ALTER TABLE `a`", 'DIALECT = "postgres"').dialect == "postgres"
    with pytest.raises(MigrationError, match=r"DIALECT = 'oracle'\. Use one of"):
        _ = written(tmp_path, "0_1_a.py", "", 'DIALECT = "oracle"').dialect


def test_each_dialect_has_a_folder(tmp_path: Path) -> None:
    assert folder_of(tmp_path, "shop", "postgres") == tmp_path / "shop"
    written(tmp_path / "shop", "0_1_a.py", "AUTOINCREMENT")
    assert folder_of(tmp_path, "shop", "sqlite") == tmp_path / "shop"
    assert folder_of(tmp_path, "shop", "postgres") == tmp_path / "postgres" / "shop"
    written(tmp_path / "sqlite" / "shop", "0_1_a.py", "AUTOINCREMENT")
    assert folder_of(tmp_path, "shop", "sqlite") == tmp_path / "sqlite" / "shop"


def test_digest_covers_the_statements_to_be_executed(tmp_path: Path) -> None:
    first = written(tmp_path, "0_1_a.py", "SELECT 1").digest
    shutil.copy(tmp_path / "0_1_a.py", tmp_path / "1_1_b.py")
    (tmp_path / "1_1_b.py").write_text("# A comment.\n" + (tmp_path / "0_1_a.py").read_text())
    assert Migration(tmp_path / "1_1_b.py").digest == first
    assert written(tmp_path, "0_1_a.py", "SELECT 2").digest != first


def test_unreadable_input_is_an_error_message(tmp_path: Path) -> None:
    (tmp_path / "0_1_a.py").write_text("def (")
    with pytest.raises(MigrationError, match=r"0_1_a\.py cannot be read \(SyntaxError"):
        _ = Migration(tmp_path / "0_1_a.py").dialect
    (tmp_path / "0_1_a.py").write_text("import no_such_module")
    with pytest.raises(MigrationError, match=r"ModuleNotFoundError: No module named 'no_such_module'"):
        Migration(tmp_path / "0_1_a.py").script_function("upgrade")
    (tmp_path / "0_1_a.py").write_text("")
    with pytest.raises(MigrationError, match=r"has no function downgrade\(db\)"):
        Migration(tmp_path / "0_1_a.py").script_function("downgrade")
