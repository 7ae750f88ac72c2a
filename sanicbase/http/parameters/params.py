"""The parameters of a view: their names, their types, and where a single value comes from.

`page: Annotated[int, Query()] = 1` is a value of the query string.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import Field

__all__ = ["REQUIRED", "Cookie", "Header", "Param", "Parameter", "Query", "params_of"]

REQUIRED: Any = object()
"""The default of a parameter that has none."""
MAX_INTEGER = 2**63 - 1  # of the widest integer column


@dataclass(frozen=True)
class Param:
    """A place of the request; `alias` is the name there, where it differs from the parameter's."""

    alias: str | None = None

    def name_of(self, parameter: str) -> str:
        """The name in the request."""
        return self.alias or parameter


@dataclass(frozen=True)
class Query(Param):
    """A value of the query string. A list takes every value of a repeated key."""


@dataclass(frozen=True)
class Header(Param):
    """A header. `x_trace: Annotated[str, Header()]` is `X-Trace`; a list takes every header of that name."""

    def name_of(self, parameter: str) -> str:
        """The name in the request, in lower case as in HTTP/2."""
        return (self.alias or parameter.replace("_", "-")).lower()


@dataclass(frozen=True)
class Cookie(Param):
    """A cookie."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature. `param` says where a single value comes from."""

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

        An integer is bounded by the widest column.
        """
        kind = self.annotation
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        metadata = tuple(value for value in _metadata(kind) if not _is_param(value))
        bounds = (Field(ge=-MAX_INTEGER - 1, le=MAX_INTEGER),) if plain is int else ()
        names = Field(validation_alias=self.alias, serialization_alias=self.alias)
        default = Field() if self.required else Field(default=self.default)
        return self.name, Annotated[(plain, *bounds, *metadata, names)], default


def params_of(annotation: Any) -> list[Param]:
    """The places that an annotation names; `Query` is `Query()`."""
    return [value() if isinstance(value, type) else value for value in _metadata(annotation) if _is_param(value)]


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _is_param(value: object) -> bool:
    return isinstance(value, Param) or (isinstance(value, type) and issubclass(value, Param))
