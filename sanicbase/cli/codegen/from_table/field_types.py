"""Finds the field of Tortoise for a column of a database, and the type that this field would create."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tortoise import fields

from sanicbase.migrations.introspection import ColumnInfo
from sanicbase.migrations.statements import Dialect

__all__ = ["FieldType", "field_type"]

Types = Sequence[tuple[str, str]]

LENGTH = r"\((?P<max_length>\d+)\)"
DIGITS = r"\((?P<max_digits>\d+),(?P<decimal_places>\d+)\)"

POSTGRES: Types = (
    ("smallint", "SmallIntField"),
    ("integer", "IntField"),
    ("bigint", "BigIntField"),
    (f"character(?: varying)?{LENGTH}", "CharField"),
    ("text|character varying|citext", "TextField"),
    ("boolean", "BooleanField"),
    (f"numeric{DIGITS}", "DecimalField"),
    ("real|double precision", "FloatField"),
    # `time` without a time zone is omitted: asyncpg rejects times with a zone for it, and Tortoise passes no others.
    (r"timestamp(?:\(\d\))? with time zone", "DatetimeField"),
    ("date", "DateField"),
    (r"time(?:\(\d\))? with(?:out)? time zone", "TimeField"),
    ("jsonb?", "JSONField"),
    ("uuid", "UUIDField"),
    ("bytea", "BinaryField"),
)
MYSQL: Types = (
    (r"tinyint\(1\)", "BooleanField"),
    ("(?:tinyint(?: unsigned)?|smallint|year)(?: zerofill)?", "SmallIntField"),
    ("(?:smallint unsigned|mediumint(?: unsigned)?|int)(?: zerofill)?", "IntField"),
    ("(?:int unsigned|bigint(?: unsigned)?)(?: zerofill)?", "BigIntField"),
    (r"char\(36\)|uuid", "UUIDField"),
    (f"(?:var)?char{LENGTH}", "CharField"),
    ("(?:tiny|medium|long)?text", "TextField"),
    (f"decimal{DIGITS}(?: unsigned)?", "DecimalField"),
    (r"(?:float|double)(?:\(\d+,\d+\))?(?: unsigned)?", "FloatField"),
    (r"(?:datetime|timestamp)(?:\(\d\))?", "DatetimeField"),
    ("date", "DateField"),
    (r"time(?:\(\d\))?", "TimeField"),
    ("json", "JSONField"),
    (r"(?:tiny|medium|long)?blob|(?:var)?binary\(\d+\)", "BinaryField"),
)
SQLITE: Types = (
    ("BOOL(?:EAN)?", "BooleanField"),
    ("TINYINT|SMALLINT|INT2", "SmallIntField"),
    ("INT|INT4|MEDIUMINT", "IntField"),
    ("INTEGER|BIGINT|INT8|UNSIGNED BIG INT", "BigIntField"),  # SQLite's INTEGER has 64 bits
    (r"CHAR\(36\)|UUID", "UUIDField"),
    (f"(?:N|VAR|NVAR|VARYING |NATIVE )?CHAR(?:ACTER)?(?: VARYING)?{LENGTH}", "CharField"),
    ("TEXT|CLOB|VARCHAR|CHAR|STRING", "TextField"),
    ("REAL|FLOAT|DOUBLE(?: PRECISION)?", "FloatField"),
    (f"(?:DECIMAL|NUMERIC){DIGITS}", "DecimalField"),
    (r"TIMESTAMP|DATETIME(?:\(\d\))?", "DatetimeField"),
    ("DATE", "DateField"),
    ("TIME", "TimeField"),
    ("JSONB?", "JSONField"),
    ("BLOB", "BinaryField"),
)
TYPES: dict[Dialect, Types] = {"postgres": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}

# The types that Tortoise creates, as the databases report them.
REPORTED: dict[Dialect, Mapping[str, str]] = {
    "postgres": {
        "int": "integer",
        "varchar": "character varying",
        "bool": "boolean",
        "decimal": "numeric",
        "timestamptz": "timestamp with time zone",
        "timetz": "time with time zone",
    },
    "mysql": {"bool": "tinyint(1)"},
    "sqlite": {},
}
TEXT_KEY = 255
"""The maximum length of a text key: Tortoise requires a CharField for it."""


@dataclass(frozen=True)
class FieldType:
    """A field class with its arguments as code."""

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    ddl_type: str = ""
    """The type that the field would create, as the database reports it."""

    @property
    def indexable(self) -> bool:
        """Whether Tortoise allows an index or a unique constraint on it."""
        return bool(getattr(fields, self.name).indexable)

    @property
    def python(self) -> str:
        """The annotation of its values."""
        return {"UUIDField": "UUID", "CharField": "str", "TextField": "str"}.get(self.name, "int")


def field_type(column: ColumnInfo, dialect: Dialect, *, key: bool = False) -> FieldType | None:
    """The field for a column; None when no field of Tortoise can read and write it. A `key` is a primary key."""
    for pattern, name in TYPES[dialect]:
        if match := re.fullmatch(pattern, column.type):
            arguments = {key: number for key, number in match.groupdict().items() if number}
            if key and name == "TextField":
                name, arguments = "CharField", {"max_length": str(TEXT_KEY)}
            return FieldType(name, arguments, _ddl_type(name, arguments, dialect))
    return None


def _ddl_type(name: str, arguments: Mapping[str, str], dialect: Dialect) -> str:
    field_instance = getattr(fields, name)(**{key: int(number) for key, number in arguments.items()})
    sql = str(field_instance.get_for_dialect(dialect, "SQL_TYPE"))
    if dialect == "sqlite":
        return sql
    word, bracket, rest = sql.lower().partition("(")
    return REPORTED[dialect].get(word, word) + bracket + rest
