"""What statements do to tables, in the spellings of the three databases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.migrations.checks.actions import (
    Action,
    AddColumn,
    AddIndex,
    AlterColumn,
    Column,
    CopyRows,
    CreateTable,
    DropColumn,
    DropTable,
    FillColumns,
    OtherChange,
    RenameColumn,
    RenameTable,
    SaveRows,
    SetTimeout,
)
from sanicbase.migrations.checks.parser import parse_actions
from sanicbase.migrations.statements import Dialect

READ: list[tuple[Dialect, str, list[Action]]] = [
    (
        "postgres",
        'CREATE TABLE IF NOT EXISTS "pen" ("id" SERIAL NOT NULL PRIMARY KEY, "ink" DECIMAL(10, 2) NOT NULL '
        'DEFAULT 1.5, "cap" VARCHAR(9) UNIQUE, CONSTRAINT "u" UNIQUE ("ink", "cap"))',
        [
            CreateTable(
                "pen",
                (
                    Column("id", "SERIAL", null=False, generated=True),
                    Column("ink", "DECIMAL(10,2)", null=False, default=True),
                    Column("cap", "VARCHAR(9)", unique=True),
                ),
                (("ink", "cap"), ("cap",)),
                if_not_exists=True,
            )
        ],
    ),
    (
        "mysql",
        "CREATE TABLE `pen` (`id` BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT, `ink` CHAR(1) CHARACTER SET utf8mb4 "
        "DEFAULT NULL, UNIQUE KEY `u` (`ink`(10)), KEY `k` (`id`)) CHARACTER SET utf8mb4 COMMENT='a, (b'",
        [
            CreateTable(
                "pen",
                (Column("id", "BIGINT", null=False, generated=True), Column("ink", "CHAR(1)")),
                (("",),),
                if_not_exists=False,
            )
        ],
    ),
    ("postgres", "CREATE INDEX CONCURRENTLY a ON Pen (ink)", [AddIndex("pen", ("ink",), concurrent=True)]),
    (
        "postgres",
        'CREATE UNIQUE INDEX "a" ON "s"."pen" (lower(ink))',
        [AddIndex("s.pen", ("",), unique=True)],
    ),
    ("postgres", "CREATE UNIQUE INDEX a ON public.pen (ink) WHERE ink > 0", [AddIndex("pen", ("ink",))]),
    ("mysql", "CREATE INDEX a ON pen (ink) ALGORITHM=INPLACE LOCK=NONE", [AddIndex("pen", ("ink",), concurrent=True)]),
    ("sqlite", "DROP TABLE IF EXISTS [pen], `cap`", [DropTable("pen"), DropTable("cap")]),
    ("mysql", "RENAME TABLE a TO b, c TO d", [RenameTable("a", "b"), RenameTable("c", "d")]),
    (
        "postgres",
        "ALTER TABLE IF EXISTS ONLY pen ADD COLUMN IF NOT EXISTS ink INT NOT NULL, DROP cap, DROP CONSTRAINT u",
        [AddColumn("pen", Column("ink", "INT", null=False)), DropColumn("pen", "cap"), OtherChange("pen")],
    ),
    (
        "postgres",
        "ALTER TABLE pen ALTER ink TYPE BIGINT USING ink::bigint, ALTER ink SET DEFAULT 1, ALTER ink SET NOT NULL",
        [
            AlterColumn("pen", "ink", "BIGINT"),
            AlterColumn("pen", "ink", default=True),
            AlterColumn("pen", "ink", null=False),
        ],
    ),
    ("postgres", "ALTER TABLE pen ALTER COLUMN ink SET DATA TYPE text", [AlterColumn("pen", "ink", "text")]),
    ("postgres", "ALTER TABLE pen ADD CONSTRAINT u UNIQUE USING INDEX i", [OtherChange("pen")]),
    (
        "postgres",
        "ALTER TABLE pen ADD CONSTRAINT u UNIQUE (ink)",
        [AddIndex("pen", ("ink",), unique=True, constraint=True)],
    ),
    ("postgres", "ALTER TABLE pen ADD CONSTRAINT f FOREIGN KEY (ink) REFERENCES cap (id)", [OtherChange("pen")]),
    (
        "mysql",
        "ALTER TABLE `pen` MODIFY COLUMN `ink` INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'NULL'",
        [AlterColumn("pen", "ink", "INT UNSIGNED", null=False, default=True)],
    ),
    (
        "mysql",
        "ALTER TABLE pen CHANGE ink cap INT NULL, ALGORITHM=INPLACE, LOCK=NONE",
        [AlterColumn("pen", "ink", "INT", null=True, default=False), RenameColumn("pen", "ink", "cap")],
    ),
    (
        "mysql",
        "ALTER TABLE pen ADD INDEX i (ink), ALGORITHM = INPLACE, LOCK = NONE",
        [AddIndex("pen", ("ink",), constraint=True, concurrent=True)],
    ),
    ("mysql", "ALTER TABLE pen ADD (a INT, b INT)", [AddColumn("pen", Column(name, "INT")) for name in "ab"]),
    ("sqlite", 'ALTER TABLE "a""b" RENAME TO "c"', [RenameTable('a"b', "c")]),
    ("sqlite", "ALTER TABLE pen RENAME ink TO cap", [RenameColumn("pen", "ink", "cap")]),
    ("mysql", "ALTER TABLE pen RENAME INDEX a TO b", [OtherChange("pen")]),
    (
        "sqlite",
        'INSERT INTO "new" ("a", "b", "c", "d") SELECT "a", COALESCE("x", 0), \'FROM\', NULL FROM "old" WHERE 1',
        [CopyRows("new", "old", (("a", "a", False), ("b", "x", True), ("c", "", True), ("d", "", False)))],
    ),
    ("sqlite", "INSERT INTO pen SELECT * FROM cap", [SaveRows("cap")]),
    ("mysql", "INSERT INTO pen (a, b) SELECT * FROM cap", [SaveRows("cap")]),
    ("postgres", "CREATE TABLE pen AS SELECT * FROM cap", [SaveRows("cap")]),
    ("mysql", "UPDATE pen SET ink=1, cap = lower(cap) WHERE ink IS NULL", [FillColumns("pen", ("ink", "cap"))]),
    ("postgres", "SET LOCAL lock_timeout = '3s'", [SetTimeout()]),
    ("mysql", "SET SESSION lock_wait_timeout = 3", [SetTimeout()]),
]


@pytest.mark.parametrize(("dialect", "statement", "actions"), READ)
def test_statements_are_read(dialect: Dialect, statement: str, actions: list[Action]) -> None:
    assert parse_actions(statement, dialect) == actions


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "CREATE",
        "ALTER TABLE",
        "ALTER TABLE pen ADD",
        "CREATE TEMPORARY TABLE pen (id INT)",
        "CREATE VIEW pen AS SELECT 1",
        "DROP INDEX pen",
        "INSERT INTO pen VALUES (1)",
        "INSERT INTO pen SELECT 1",
        "SET foreign_key_checks = 0",
        "DO $$ BEGIN END $$",
        "ALTER TABLE pen ADD COLUMN ((",
        "UPDATE pen",
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
def test_unknown_statements_are_left_out(dialect: Dialect, statement: str) -> None:
    assert parse_actions(statement, dialect) == []


WORDS = [word for _, statement, _ in READ for word in statement.split()]


@given(
    st.sampled_from(["postgres", "mysql", "sqlite"]), st.lists(st.sampled_from([*WORDS, "(", ")", ",", "'", '"', "."]))
)
def test_no_statement_is_refused(dialect: Dialect, words: list[str]) -> None:
    assert all(action for action in parse_actions(" ".join(words), dialect))
