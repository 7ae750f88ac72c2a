"""What a statement locks: the rules, and those of PostgreSQL held against the server's own pg_locks."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]
import pytest

from sanicbase.migrations.lock_levels import Blocks, LockLevel, lock_level
from sanicbase.migrations.statements import Dialect

POSTGRES: list[tuple[str, LockLevel]] = [
    ("ALTER TABLE pen ADD ink INT", LockLevel("ACCESS EXCLUSIVE", "short")),
    ("ALTER TABLE pen ADD ink INT NOT NULL DEFAULT 3", LockLevel("ACCESS EXCLUSIVE", "short")),
    ("ALTER TABLE pen ADD ink FLOAT DEFAULT random()", LockLevel("ACCESS EXCLUSIVE", "all")),
    ("ALTER TABLE pen ALTER COLUMN name TYPE TEXT", LockLevel("ACCESS EXCLUSIVE", "all")),
    ("ALTER TABLE pen ALTER COLUMN name SET NOT NULL", LockLevel("ACCESS EXCLUSIVE", "all")),
    ("ALTER TABLE pen ADD CONSTRAINT u UNIQUE (name)", LockLevel("ACCESS EXCLUSIVE", "all")),
    (
        "ALTER TABLE pen ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES cap (id)",
        LockLevel("SHARE ROW EXCLUSIVE", "writes"),
    ),
    ("ALTER TABLE pen DROP COLUMN name", LockLevel("ACCESS EXCLUSIVE", "short")),
    ("ALTER TABLE pen RENAME TO pencil", LockLevel("ACCESS EXCLUSIVE", "short")),
    ("CREATE INDEX pen_name ON pen (name)", LockLevel("SHARE", "writes")),
    ("DROP TABLE pen", LockLevel("ACCESS EXCLUSIVE", "short")),
    ("COMMENT ON TABLE pen IS 'ALTER TABLE'", LockLevel("SHARE UPDATE EXCLUSIVE", "nothing")),
    ("UPDATE pen SET name = 'b'", LockLevel("ROW EXCLUSIVE", "rows")),
]


@pytest.mark.xdist_group("postgres")
async def test_locks_of_postgresql_are_those_that_the_server_takes(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("CREATE TABLE pen (id INT, name VARCHAR(9)); CREATE TABLE cap (id INT PRIMARY KEY)")
        pen = await connection.fetchval("SELECT 'pen'::regclass::oid")
        for statement, lock in POSTGRES:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement)
            modes = await connection.fetch(
                "SELECT mode FROM pg_locks WHERE relation = $1 AND pid = pg_backend_pid()", pen
            )
            await transaction.rollback()
            assert lock_level(statement, "postgres") == lock, statement
            assert lock.mode.replace(" ", "") + "LOCK" in {row["mode"].upper() for row in modes}, statement
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("dialect", "statement", "effect"),
    [
        ("postgres", "CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)", "nothing"),
        ("postgres", "CREATE TABLE a (b INT)", "nothing"),
        ("postgres", "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", "short"),
        ("postgres", "ALTER TABLE a VALIDATE CONSTRAINT c", "nothing"),
        ("postgres", "DO $$ BEGIN END $$", "all"),
        ("mysql", "ALTER TABLE `a` ADD `b` INT", "short"),
        ("mysql", "ALTER TABLE `a` MODIFY COLUMN `b` BIGINT", "writes"),
        ("mysql", "ALTER TABLE `a` ADD CONSTRAINT `c` FOREIGN KEY (`b`) REFERENCES `d` (`e`)", "writes"),
        ("mysql", "CREATE INDEX `a` ON `b` (`c`)", "short"),
        ("mysql", "CREATE FULLTEXT INDEX `a` ON `b` (`c`)", "writes"),
        ("mysql", "CREATE TABLE a (b INT)", "nothing"),
        ("mysql", "INSERT INTO a VALUES (1)", "rows"),
        ("mysql", "CALL a()", "all"),
        ("sqlite", "ALTER TABLE a ADD b INT", "writes"),
        ("sqlite", "SELECT 1", "nothing"),
    ],
)
def test_locks_of_each_statement(dialect: Dialect, statement: str, effect: Blocks) -> None:
    assert lock_level(statement, dialect).blocks == effect


def test_lock_is_an_error_message() -> None:
    assert lock_level("DROP TABLE a", "postgres").sentence() == "ACCESS EXCLUSIVE: blocks reads and writes briefly"
