"""The parameters of a view: their names, their types, and the sources of single values.

`page: Annotated[int, Query()] = 1` is a value of the query string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import Field

__all__ = ["REQUIRED", "Cookie", "Header", "Param", "Parameter", "Query", "Upload", "params_of"]

REQUIRED: Any = object()
"""The default of a parameter without a default."""
MAX_INTEGER = 2**63 - 1  # of the widest integer column


@dataclass(frozen=True)
class Param:
    """A source of the request. `alias` is the name there, if it differs from that of the parameter."""

    alias: str | None = None

    def name_of(self, parameter: str) -> str:
        """The name in the request."""
        return self.alias or parameter


@dataclass(frozen=True)
class Query(Param):
    """A value of the query string. A list accepts every value of a repeated key."""


@dataclass(frozen=True)
class Header(Param):
    """A header. `x_trace: Annotated[str, Header()]` is `X-Trace`; a list accepts every header of that name."""

    def name_of(self, parameter: str) -> str:
        """The name in the request, in lower case as in HTTP/2."""
        return (self.alias or parameter.replace("_", "-")).lower()


@dataclass(frozen=True)
class Cookie(Param):
    """A cookie."""


@dataclass(frozen=True, kw_only=True)
class Upload(Param):
    """A file of a multipart form, which is kept on the disk while the view runs.

        avatar: Annotated[FileUpload, Upload(max_size=5_000_000, types=["image/png", "image/jpeg"])]

    `max_size` is the maximum size of each file in bytes. `types` are the accepted media types: the declared type must
    be one of them, and the first bytes must match it; None accepts any file. `max_files` limits a `list[FileUpload]`.
    """

    max_size: int
    types: Sequence[str] | None
    max_files: int = 10


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature. `param` is the source of a single value."""

    name: str
    annotation: Any
    default: Any
    param: Param | None = None

    @property
    def required(self) -> bool:
        """Whether the request must have it."""
        return self.default is REQUIRED

    @property
    def alias(self) -> str:
        """Its name in the request."""
        return self.param.name_of(self.name) if self.param else self.name

    @property
    def field(self) -> tuple[str, Any, Any]:
        """The parameter as a field of a dataclass, with its name in the request.

        Integers are limited to those of the widest column.
        """
        kind = self.annotation
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        metadata = tuple(value for value in _metadata(kind) if not _is_param(value))
        bounds = (Field(ge=-MAX_INTEGER - 1, le=MAX_INTEGER),) if plain is int else ()
        names = Field(validation_alias=self.alias, serialization_alias=self.alias)
        default = Field() if self.required else Field(default=self.default)
        return self.name, Annotated[(plain, *bounds, *metadata, names)], default


def params_of(annotation: Any) -> list[Param]:
    """The sources that an annotation names; `Query` means `Query()`."""
    return [value() if isinstance(value, type) else value for value in _metadata(annotation) if _is_param(value)]


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _is_param(value: object) -> bool:
    return isinstance(value, Param) or (isinstance(value, type) and issubclass(value, Param))
