"""Return types of views whose response has another status than 200."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

__all__ = ["Accepted", "Created", "NoContent", "WithStatus"]

T = TypeVar("T")


@dataclass(frozen=True)
class WithStatus(Generic[T]):
    """Data with a status of its own. `location` is the header of that name: the URL of the resource.

    It may be written with or without a host, and with any character: characters that a URL cannot have are encoded
    (RFC 3987), and escapes stay.
    """

    data: T
    location: str = ""

    status: ClassVar[int] = 200


@dataclass(frozen=True)
class Created(WithStatus[T]):
    """201: a resource was created."""

    status: ClassVar[int] = 201


@dataclass(frozen=True)
class Accepted(WithStatus[T]):
    """202: the work will be done later."""

    status: ClassVar[int] = 202


@dataclass(frozen=True)
class NoContent:
    """204: success without a body, and without an envelope (RFC 9110, 15.3.5)."""

    status: ClassVar[int] = 204
