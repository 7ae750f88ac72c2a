"""Where a single value of a view comes from, said in its annotation: `page: Annotated[int, Query()] = 1`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cookie", "Header", "Marker", "Query"]


@dataclass(frozen=True)
class Marker:
    """A place of the request; `alias` is the name there, where it differs from the parameter's."""

    alias: str | None = None

    def name_of(self, parameter: str) -> str:
        """The name in the request."""
        return self.alias or parameter


@dataclass(frozen=True)
class Query(Marker):
    """A value of the query string. A list takes every value of a key that is repeated."""


@dataclass(frozen=True)
class Header(Marker):
    """A header. `x_trace: Annotated[str, Header()]` is `X-Trace`; of a list, every header of that name."""

    def name_of(self, parameter: str) -> str:
        """The name in the request, in small letters as HTTP/2 has it."""
        return (self.alias or parameter.replace("_", "-")).lower()


@dataclass(frozen=True)
class Cookie(Marker):
    """A cookie."""
