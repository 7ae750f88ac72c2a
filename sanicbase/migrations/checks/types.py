"""Types of columns as values, for any spelling, and whether values of one fit into another."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from sanicbase.migrations.statements import Dialect

__all__ = ["ColumnType", "is_narrowed", "parse_type", "types_differ"]

Family = Literal["integer", "decimal", "float", "text", "bytes", "boolean", "date", "time", "datetime", "uuid", "json"]

INF = math.inf
PATTERN = re.compile(r"(?P<name>[a-z][a-z0-9]*(?: [a-z][a-z0-9]*)*)(?:\((?P<args>[\d, ]*)\))?(?P<rest>[ a-z]*)")
INTEGERS = {
    "tinyint": 8,
    "smallint": 16, "int2": 16, "smallserial": 16,
    "mediumint": 24,
    "int": 32, "integer": 32, "int4": 32, "serial": 32,
    "bigint": 64, "int8": 64, "bigserial": 64,
}  # fmt: skip
FLOATS = {"real": 24, "float4": 24, "double": 53, "double precision": 53, "float8": 53}
LONG: dict[str, float] = {
    "tinytext": 2**8 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1,
    "tinyblob": 2**8 - 1, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1,
}  # fmt: skip
PLAIN: dict[str, Family] = {
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
}
TEXTS: dict[str, float] = {"date": 10, "time": 15, "datetime": 32, "uuid": 36, "boolean": 5}
"""The lengths of these types as text."""


@dataclass(frozen=True)
class ColumnType:
    """A type: `size` is the bits of an integer or a float, the digits before the point of a decimal, characters, bytes,
    or the digits of a second."""

    family: Family
    size: float = 0
    scale: float = 0
    """Digits after the point."""
    variant: str = ""
    """What distinguishes types with equal sizes: `unsigned`, `fixed`, `zone`, `jsonb`."""


def parse_type(written: str, dialect: Dialect) -> ColumnType | None:
    """The type with that spelling; None if it is unknown."""
    match = PATTERN.fullmatch(" ".join(written.lower().split()).replace('"', ""))
    if not match:
        return None
    name, rest = match["name"].strip(), match["rest"].strip()
    for suffix in (" unsigned", " zerofill", " without time zone", " with time zone"):
        if name.endswith(suffix):
            name, rest = name.removesuffix(suffix), f"{suffix.strip()} {rest}"
    arguments = [int(argument) for argument in (match["args"] or "").replace(" ", "").split(",") if argument]
    return _number(name, arguments, rest, dialect) or _other(name, arguments, rest, dialect)


def _number(name: str, arguments: list[int], rest: str, dialect: Dialect) -> ColumnType | None:
    if dialect == "mysql" and name in ("bool", "boolean"):
        name = "tinyint"
    if name in INTEGERS:
        unsigned = "unsigned" in rest
        return ColumnType(
            "integer", 64 if dialect == "sqlite" else INTEGERS[name], variant="unsigned" if unsigned else ""
        )
    if name in ("decimal", "numeric", "dec"):
        if not arguments and dialect != "mysql":
            return ColumnType("decimal", INF, INF)
        precision, scale = (*arguments, *(10, 0)[len(arguments) :])
        return ColumnType("decimal", precision - scale, scale)
    if name == "float":
        single = dialect == "mysql" if not arguments else arguments[0] <= 24
        return ColumnType("float", 24 if single else 53)
    if name == "real" and dialect != "postgres":
        return ColumnType("float", 53)
    return ColumnType("float", FLOATS[name]) if name in FLOATS else None


def _other(name: str, arguments: list[int], rest: str, dialect: Dialect) -> ColumnType | None:
    length: float = arguments[0] if arguments else INF
    if name in ("varchar", "character varying", "nvarchar"):
        return ColumnType("text", length)
    if name in ("char", "character", "nchar"):
        return ColumnType("text", length if arguments else 1, variant="fixed")
    if name in ("varbinary", "binary", "bytea"):
        return ColumnType("bytes", length)
    if name in ("text", "blob"):
        family: Family = "text" if name == "text" else "bytes"
        return ColumnType(family, length if arguments else 2**16 - 1 if dialect == "mysql" else INF)
    if name in LONG:
        return ColumnType("text" if name.endswith("text") else "bytes", LONG[name])
    if name in ("timestamp", "timestamptz", "datetime", "time", "timetz"):
        digits = arguments[0] if arguments else 0 if dialect == "mysql" else 6
        zone = name.endswith("tz") or "with time zone" in rest or (dialect == "mysql" and name == "timestamp")
        return ColumnType(
            "time" if name.startswith("time") and "stamp" not in name else "datetime", digits, 0, "zone" * zone
        )
    if name in PLAIN:
        return ColumnType(PLAIN[name], variant=name if PLAIN[name] == "json" and dialect == "postgres" else "")
    return None


def types_differ(one: str, other: str, dialect: Dialect) -> bool:
    """Whether two types certainly differ; an unknown type may equal any."""
    first, second = parse_type(one, dialect), parse_type(other, dialect)
    return first is not None and second is not None and first != second


def is_narrowed(old: str, new: str, dialect: Dialect) -> bool:
    """Whether the new type cannot store all values of the old one unchanged."""
    before, after = parse_type(old, dialect), parse_type(new, dialect)
    if before is None or after is None:
        return False
    if before.family == after.family:
        return _has_smaller_range(before, after)
    match before.family, after.family:
        case "integer", "decimal":
            return after.size < _digits(before)
        case "integer", "float":
            return after.size < before.size - (before.variant == "")
        case "float", "decimal":
            return True
        case ("boolean", "integer" | "decimal") | ("date", "datetime"):
            return False
        case "decimal", "integer":
            return before.scale > 0 or before.size >= _digits(after)
        case _, "text":
            return after.size < _length(before)
    return True


def _has_smaller_range(before: ColumnType, after: ColumnType) -> bool:
    if before.family == "integer":
        signs = before.variant != after.variant and (after.variant == "unsigned" or after.size <= before.size)
        return signs or after.size < before.size
    return after.size < before.size or after.scale < before.scale


def _digits(kind: ColumnType) -> int:
    """The number of digits of an integer with that many bits."""
    return len(str(2 ** int(kind.size - (kind.variant == ""))))


def _length(kind: ColumnType) -> float:
    """The number of characters of a value as text."""
    match kind.family:
        case "integer":
            return _digits(kind) + (kind.variant == "")
        case "decimal":
            return kind.size + kind.scale + 2
        case "float":
            return 24
        case family:
            return TEXTS.get(family, INF)
