"""Return types of views: responses with a status other than 200, and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

__all__ = ["Accepted", "Created", "Download", "NoContent", "WithStatus"]

T = TypeVar("T")


@dataclass(frozen=True)
class WithStatus(Generic[T]):
    """Data with a status of its own. `location` is the header of that name: the URL of the resource.

    It may be written with or without a host, and with any characters: those that a URL cannot contain are encoded (RFC
    3987), and existing escapes are kept.
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


@dataclass(frozen=True)
class Download:
    """A file that the client saves under a name: `Download(path, name="报告.pdf")`.

    `name` may contain any characters; the default is that of the path. `content_type` follows from the extension of the
    name unless it is given. With `inline`, a browser displays the file instead of saving it, and runs no scripts in it.
    `cache_control` sets the header of that name.
    """

    path: Path
    name: str = ""
    content_type: str = ""
    inline: bool = False
    cache_control: str = ""
