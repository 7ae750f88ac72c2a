"""Datetimes and times in UTC, for drivers that write local times without their zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TypeVar

__all__ = ["to_utc"]

T = TypeVar("T")
ANY_DAY = date(2000, 1, 1)  # a zone of a time without a date has one offset on every day


def to_utc(value: T) -> T:
    """The same datetime or time in UTC. Naive values and other types are returned unchanged."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, time) and value.utcoffset() is not None:
        return datetime.combine(ANY_DAY, value).astimezone(UTC).timetz()  # type: ignore[return-value]
    return value
