"""The `Meta` of a list's query, parsed when the class is defined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError
from tortoise import fields
from tortoise.models import Model

from sanicbase.db.keys import attributes, foreign_key
from sanicbase.db.pagination.columns import column_of
from sanicbase.db.pagination.filters import Filter
from sanicbase.db.pagination.totals import TOTALS, Total
from sanicbase.errors import SanicBaseError

__all__ = ["DEFAULT_SIZE", "MAX_NAME_LENGTH", "MAX_SIZE", "NO_DECLARATION", "Declaration"]

DEFAULT_SIZE = 20
MAX_SIZE = 100
MAX_NAME_LENGTH = 50  # characters of a client's name in a message
OPTIONS = ("source", "filters", "orders", "default_order", "size", "max_size", "total")


@dataclass(frozen=True)
class Declaration:
    """The parameters of a list and their defaults."""

    source: type[Model] | None = None
    filters: tuple[Filter, ...] = ()
    orders: tuple[str, ...] = ()
    default_order: tuple[str, ...] = ()
    size: int = DEFAULT_SIZE
    max_size: int = MAX_SIZE
    totals: tuple[Total, ...] = ("exact",)
    """What a request may ask for; the first one is the default."""

    @classmethod
    def of(cls, owner: str, meta: type) -> Declaration:
        """Read a Meta. Raises SanicBaseError, which names the class and the entry."""
        options = {name: getattr(meta, name) for name in dir(meta) if not name.startswith("_")}
        if unknown := sorted(options.keys() - set(OPTIONS)):
            raise SanicBaseError(f"{owner}: Meta has no option {unknown[0]!r}. Allowed: {', '.join(OPTIONS)}.")
        source = options.get("source")
        if not (isinstance(source, type) and issubclass(source, Model)):
            raise SanicBaseError(f"{owner}: declare the model of the list in Meta: source = Article.")
        return cls(
            source=source,
            filters=tuple(Filter(owner, source, entry) for entry in _names(owner, options, "filters")),
            orders=_orders(owner, source, _names(owner, options, "orders")),
            default_order=_default_order(owner, options),
            **_sizes(owner, options),
            totals=_totals(owner, options),
        )

    def check_order(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Validate the names of a request's order; a repeated column is ignored."""
        first: dict[str, str] = {}
        for name in names:
            if first.setdefault(name.removeprefix("-"), name).removeprefix("-") not in self.orders:
                allowed = ", ".join(f"{order}, -{order}" for order in self.orders) or "none"
                raise PydanticCustomError(
                    "unknown_order",
                    "There is no order {name}. Allowed: {allowed}.",
                    {"name": repr(name[:MAX_NAME_LENGTH]), "allowed": allowed},
                )
        return tuple(first.values())

    def for_each_order(self, check: Callable[[type[Model], str], object]) -> None:
        """Call `check` for every order whose column is known before the database is open."""
        for name in self.orders:
            if self.source is not None and column_of(self.source, name) is not None:
                check(self.source, name)


def _names(owner: str, options: dict[str, Any], option: str) -> tuple[str, ...]:
    names = options.get(option, ())
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise SanicBaseError(f"{owner}: {option} must be a tuple of names; for a single name: {option} = ({names!r},).")
    if len(set(names)) < len(names):
        raise SanicBaseError(f"{owner}: {option} contains duplicates: {', '.join(names)}.")
    return tuple(names)


def _orders(owner: str, source: type[Model], names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        column = column_of(source, name)
        if foreign_key(source, name) is None and (
            column is None or isinstance(column, fields.JSONField | fields.BinaryField)
        ):
            raise SanicBaseError(
                f"{owner}: {source.__name__} cannot be ordered by {name!r}. Name a column of it, without a minus: "
                "each can be asked for descending."
            )
    if len(attributes(source, names)) < len(names):
        raise SanicBaseError(f"{owner}: orders name a column twice, by its relation as well: {', '.join(names)}.")
    return tuple(names)


def _default_order(owner: str, options: dict[str, Any]) -> tuple[str, ...]:
    default = options.get("default_order", ())
    names = (default,) if isinstance(default, str) else tuple(default)
    for name in names:
        if name.removeprefix("-") not in options.get("orders", ()):
            raise SanicBaseError(f"{owner}: default_order {name!r} is not among the orders. Add it to them.")
    return names


def _sizes(owner: str, options: dict[str, Any]) -> dict[str, int]:
    max_size = options.get("max_size", MAX_SIZE)
    size = options.get("size", min(DEFAULT_SIZE, max_size))
    if not 1 <= size <= max_size <= 10_000:
        raise SanicBaseError(f"{owner}: size is {size} and max_size {max_size}. Set 1 <= size <= max_size <= 10000.")
    return {"size": size, "max_size": max_size}


def _totals(owner: str, options: dict[str, Any]) -> tuple[Total, ...]:
    option = options.get("total", "exact")
    totals: tuple[Any, ...] = tuple(option) if isinstance(option, tuple | list) else (option,)
    if not totals or len(set(totals)) < len(totals) or not set(totals) <= set(TOTALS):
        allowed = ", ".join(map(repr, TOTALS))
        raise SanicBaseError(
            f"{owner}: total is {option!r}. Set one of {allowed}, or a tuple that begins with the default."
        )
    return totals


NO_DECLARATION = Declaration()
