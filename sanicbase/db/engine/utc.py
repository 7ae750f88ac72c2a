"""Moments and times of the day in UTC, for databases that write what a clock shows, without its zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TypeVar

__all__ = ["to_utc"]

T = TypeVar("T")
ANY_DAY = date(2000, 1, 1)  # a zone of a time without a date has one offset on every day


def to_utc(value: T) -> T:
    """The same moment or time of the day in UTC. Values without a zone, and of other types, stay as they are."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, time) and value.utcoffset() is not None:
        return datetime.combine(ANY_DAY, value).astimezone(UTC).timetz()  # type: ignore[return-value]
    return value
