"""A script is taken apart at the semicolons that end a statement, and at no others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.migrations.statements import Dialect, comments_before, leading_keywords, split_statements

DIALECTS: list[Dialect] = ["postgres", "mysql", "sqlite"]
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET x = CASE WHEN y THEN 1 ELSE 2 END; DELETE FROM b; END"
PROCEDURE = """CREATE DEFINER=`root`@`localhost` PROCEDURE p()
BEGIN
  IF (SELECT 1) THEN SELECT ';'; ELSE SELECT 2; END IF;
  CASE x WHEN 1 THEN SELECT 1; END CASE;
  WHILE x < 3 DO BEGIN SELECT IF(x, 1, 2); END; END WHILE;
END"""
ATOMIC = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"
DOLLARS = "CREATE FUNCTION f() RETURNS void AS $body$ BEGIN PERFORM ';$$'; END; $body$ LANGUAGE plpgsql"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_statements_are_split(dialect: Dialect) -> None:
    script = """
        CREATE TABLE a (b VARCHAR(9) DEFAULT 'it''s; a %s');  -- a comment; it is left out
        /* so; is this */
        INSERT INTO a VALUES ('x;');;
    """
    assert split_statements(script, dialect) == [
        "CREATE TABLE a (b VARCHAR(9) DEFAULT 'it''s; a %s')",
        "INSERT INTO a VALUES ('x;')",
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_comments_belong_to_the_statement_behind_them(dialect: Dialect) -> None:
    script = "-- a\n/* b */ SELECT 1 -- c\n; ; -- d\nSELECT 2; -- e"
    assert comments_before(script, dialect) == [["-- a", "/* b */"], ["-- d"], ["-- e"]]
    assert comments_before("-- nothing", dialect) == [["-- nothing"]]


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        ("postgres", r"SELECT E'it\'s; so'"),
        ("postgres", r"SELECT 'a\'"),  # where a backslash is a letter
        ("postgres", "SELECT 1 /* a /* nested; */ comment; */ + 1"),
        ("postgres", "COMMENT ON COLUMN \"a;b\".\"c\" IS 'it''s'"),
        ("postgres", DOLLARS),
        ("postgres", "DO $$ BEGIN NULL; END $$"),
        ("postgres", ATOMIC),
        ("mysql", r'''SELECT 'it\'s; so', "a;\""'''),
        ("mysql", "SELECT `a;b`"),
        ("mysql", "/*!40101 SET NAMES utf8mb4; */ SELECT 1"),
        ("mysql", "SELECT 5--2"),
        ("mysql", PROCEDURE),
        ("mysql", TRIGGER),
        ("sqlite", TRIGGER),
        ("sqlite", 'SELECT [a;b], `c;d` FROM "e;f"'),
        ("sqlite", "ALTER TABLE a ADD COLUMN begin INT"),
    ],
)
def test_semicolons_inside_a_statement_do_not_split_it(dialect: Dialect, statement: str) -> None:
    assert split_statements(f"SELECT 1;\n{statement};\nSELECT 2", dialect) == ["SELECT 1", statement, "SELECT 2"]


def test_begin_as_a_column_is_no_block() -> None:
    script = "CREATE TABLE a (begin INT, case_ INT); BEGIN; SELECT 1; END"
    assert split_statements(script, "sqlite") == ["CREATE TABLE a (begin INT, case_ INT)", "BEGIN", "SELECT 1", "END"]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_statements_with_any_strings_come_back_as_they_were(dialect: Dialect, data: Any) -> None:
    texts = data.draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
    quoted = [_quoted(text, dialect) for text in texts]
    statements = [f"INSERT INTO a VALUES ({text})" for text in quoted]
    assert split_statements(";\n".join(statements) + ";", dialect) == statements


def _quoted(text: str, dialect: Dialect) -> str:
    escaped = text.replace("\\", "\\\\") if dialect == "mysql" else text
    return "'" + escaped.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("create  table a (b int)", "CREATE TABLE"),
        ("-- why\nALTER TABLE a", "ALTER TABLE"),
        ("/* why */ DROP INDEX a", "DROP INDEX"),
        ("COMMIT", "COMMIT"),
    ],
)
def test_first_words(statement: str, words: str) -> None:
    assert leading_keywords(statement) == words
