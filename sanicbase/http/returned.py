"""What a method returns when it has something else to say than 200."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

__all__ = ["Accepted", "Created", "NoContent", "Returned"]

T = TypeVar("T")


@dataclass(frozen=True)
class Returned(Generic[T]):
    """Data with a status of its own. `location` is the header of that name: where the thing is to be found.

    It may be written as it is read, with a host or without one, and with any character: what a URL cannot have is
    encoded (RFC 3987), and what is encoded already stays.
    """

    data: T
    location: str = ""

    status: ClassVar[int] = 200


@dataclass(frozen=True)
class Created(Returned[T]):
    """A thing was made: 201."""

    status: ClassVar[int] = 201


@dataclass(frozen=True)
class Accepted(Returned[T]):
    """The work will be done later: 202."""

    status: ClassVar[int] = 202


@dataclass(frozen=True)
class NoContent:
    """It was done, and there is nothing to say: 204, without a body and without an envelope (RFC 9110, 15.3.5)."""

    status: ClassVar[int] = 204
