"""Which types hold less than others, and which are the same."""

from __future__ import annotations

import pytest

from sanicbase.migrations.checks.types import is_narrowed, types_differ
from sanicbase.migrations.statements import Dialect


@pytest.mark.parametrize(
    ("dialect", "old", "new", "narrowed"),
    [
        ("postgres", "character varying(60)", "VARCHAR(20)", True),
        ("postgres", "character varying(20)", "VARCHAR(60)", False),
        ("postgres", "character varying(20)", "TEXT", False),
        ("postgres", "text", "VARCHAR(2000)", True),
        ("mysql", "longtext", "TEXT", True),
        ("mysql", "text", "LONGTEXT", False),
        ("postgres", "bigint", "INT", True),
        ("postgres", "integer", "BIGINT", False),
        ("mysql", "int unsigned", "INT", True),
        ("mysql", "int unsigned", "BIGINT", False),
        ("mysql", "int", "BIGINT UNSIGNED", True),
        ("sqlite", "BIGINT", "INT", False),
        ("postgres", "numeric(10,2)", "DECIMAL(10,3)", True),
        ("postgres", "numeric(10,2)", "DECIMAL(12,2)", False),
        ("postgres", "numeric(10,2)", "DECIMAL(12,1)", True),
        ("postgres", "numeric", "NUMERIC(10,2)", True),
        ("postgres", "numeric(4,0)", "INT", False),
        ("postgres", "numeric(4,1)", "INT", True),
        ("postgres", "integer", "NUMERIC(12,2)", False),
        ("postgres", "integer", "NUMERIC(10,2)", True),
        ("postgres", "integer", "DOUBLE PRECISION", False),
        ("postgres", "bigint", "DOUBLE PRECISION", True),
        ("postgres", "double precision", "REAL", True),
        ("postgres", "text", "INT", True),
        ("postgres", "integer", "VARCHAR(40)", False),
        ("postgres", "uuid", "VARCHAR(20)", True),
        ("postgres", "timestamp with time zone", "DATE", True),
        ("postgres", "date", "TIMESTAMPTZ", False),
        ("mysql", "datetime(6)", "DATETIME", True),
        ("postgres", "tsvector", "TEXT", False),
    ],
)
def test_narrowing_types(dialect: Dialect, old: str, new: str, narrowed: bool) -> None:
    assert is_narrowed(old, new, dialect) is narrowed


@pytest.mark.parametrize(
    ("dialect", "one", "other", "is_another"),
    [
        ("postgres", "VARCHAR(40)", "character varying(40)", False),
        ("postgres", "INT", "integer", False),
        ("postgres", "TIMESTAMPTZ", "timestamp with time zone", False),
        ("postgres", "TIMESTAMP", "timestamp with time zone", True),
        ("postgres", "JSONB", "jsonb", False),
        ("postgres", "DOUBLE PRECISION", "double precision", False),
        ("mysql", "BOOL", "tinyint(1)", False),
        ("mysql", "DATETIME(6)", "datetime(6)", False),
        ("mysql", "LONGTEXT", "longtext", False),
        ("mysql", "VARCHAR(40)", "varchar(41)", True),
        ("sqlite", "VARCHAR(40)", "VARCHAR(40)", False),
        ("sqlite", "VARCHAR(40)", "TEXT", True),
        ("postgres", "tsvector", "text", False),
    ],
)
def test_equal_and_different_types(dialect: Dialect, one: str, other: str, is_another: bool) -> None:
    assert types_differ(one, other, dialect) is is_another
