"""The parameters of a list: declared in a class, which is the `query` of a view.

    class ArticleQuery(PageQuery):
        class Meta:
            source = Article
            filters = ("title__icontains", "created_at__gte", "author_id", "status__in")
            orders = ("created_at", "title")  # each also descending: "-created_at"
            default_order = "-created_at"
            total = ("exact", "estimate", "none")  # the first is the default; the others by ?total=

A class is checked when it is defined, and its filters on related models when the database is opened. SanicBaseError
names the class and the wrong entry.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from tortoise import Tortoise
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.db.pagination.columns import annotated
from sanicbase.db.pagination.cursor import MAX_LENGTH
from sanicbase.db.pagination.declaration import DEFAULT_SIZE, MAX_NAME_LENGTH, MAX_SIZE, NO_DECLARATION, Declaration
from sanicbase.db.pagination.filters import single_value, split_commas
from sanicbase.db.pagination.keyset import check_position, keyset_page, unique_order
from sanicbase.db.pagination.page import EstimatedPage, KeysetPage, Page
from sanicbase.db.pagination.totals import Total, estimated_total
from sanicbase.errors import InvalidQuery, SanicBaseError
from sanicbase.numerals import integer_text

__all__ = ["KeysetQuery", "ListQuery", "OffsetQuery", "PageQuery", "check_list_queries"]

M = TypeVar("M", bound=Model)

MAX_ROWS = 10_000_000  # the largest offset: the database reads all rows that it skips
MAX_ERRORS = 20
FIRST_PARAMETERS = ("page", "cursor", "offset", "size", "limit", "total")  # listed first in messages
COUNT = (BeforeValidator(integer_text), BeforeValidator(single_value))
CURSOR: JsonDict = {
    "anyOf": [
        {"type": "string", "format": "cursor", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": MAX_LENGTH},
        {"type": "null"},
    ]
}


class ListQuery(BaseModel):
    """The common parameters of lists: the order and the filters of `Meta`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    declaration: ClassVar[Declaration] = NO_DECLARATION

    order: Annotated[tuple[str, ...], AfterValidator(NO_DECLARATION.check_order), BeforeValidator(split_commas)] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if (meta := cls.__dict__.get("Meta")) is not None:
            if cls.declaration is not NO_DECLARATION:
                raise SanicBaseError(f"{cls.__name__} inherits the Meta of another list. Give one of the two a Meta.")
            declared = Declaration.of(cls.__name__, meta)
            _add_fields(cls, declared)
            cls.declaration = declared  # last: a rejected class still exists, and must not be checked again

    @classmethod
    def parse(cls, arguments: Mapping[str, Sequence[str]]) -> Self:
        """Parse a request's arguments, each with all its values.

        An empty one (`?author_id=`) counts as missing, like an empty field of a form. Raises InvalidQuery with all
        errors.
        """
        values: dict[str, object] = {}
        for name, many in arguments.items():
            if any(many) or name not in cls.model_fields:
                values[name] = list(many) if len(many) > 1 else many[0]
        try:
            return cls.model_validate(values)
        except ValidationError as exc:
            raise _invalid(cls, exc) from None

    def filter_queryset(self, queryset: QuerySet[M]) -> QuerySet[M]:
        """The queryset with the filters of the request, for lists without pages."""
        source = self.declaration.source
        if source is not None and queryset.model is not source:
            raise SanicBaseError(
                f"{type(self).__name__} is a query of {source.__name__}, not of {queryset.model.__name__}. "
                "Change its source."
            )
        given = [(filter_, getattr(self, filter_.entry)) for filter_ in self.declaration.filters]
        return queryset.filter(*(Q(**{filter_.condition: value}) for filter_, value in given if value is not None))

    async def _fetch_page(self, queryset: QuerySet[M], *, offset: int, limit: int) -> Page[M]:
        filtered = self.filter_queryset(queryset)
        order = unique_order(queryset.model, self.order)
        rows = await filtered.order_by(*order).offset(offset).limit(limit)
        end = offset + len(rows)
        if len(rows) < limit and (rows or not offset):  # the last page, whose end is that of the list
            return self._page(rows, end)
        chosen: Total = getattr(self, "total", self.declaration.totals[0])
        if chosen == "none":
            return self._page(rows, None)
        if chosen == "estimate" and (total := await estimated_total(filtered)) is not None:
            return self._page(rows, max(total, end), estimated=True)
        return self._page(rows, await filtered.count())

    def _page(self, rows: list[M], total: int | None, *, estimated: bool = False) -> Page[M]:
        return Page(rows, total) if self.declaration.totals == ("exact",) else EstimatedPage(rows, total, estimated)


class PageQuery(ListQuery):
    """Numbered pages: `page`, `size`, `order` and the filters of `Meta`."""

    page: Annotated[int, Field(ge=1, le=MAX_ROWS // MAX_SIZE), *COUNT] = 1
    size: Annotated[int, Field(ge=1, le=MAX_SIZE), *COUNT] = DEFAULT_SIZE

    async def fetch(self, queryset: QuerySet[M]) -> Page[M]:
        """The page of the queryset, filtered and ordered by the request, with the total number of rows.

        One SELECT, and a COUNT or an EXPLAIN for the total as `Meta.total` says, except on the last page, whose end is
        the total. The primary key is the last part of the order, so that no row is on two pages while
        nothing is written; use KeysetQuery for a list that changes while it is read. The order replaces that of the
        queryset, which must have no limit and no offset.
        """
        return await self._fetch_page(queryset, offset=(self.page - 1) * self.size, limit=self.size)


class OffsetQuery(ListQuery):
    """Parts of a list: `offset`, `limit`, `order` and the filters of `Meta`."""

    offset: Annotated[int, Field(ge=0, le=MAX_ROWS), *COUNT] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_SIZE), *COUNT] = DEFAULT_SIZE

    async def fetch(self, queryset: QuerySet[M]) -> Page[M]:
        """The rows of the queryset behind the first `offset` ones, `limit` at most, and the number of all its rows.

        As PageQuery's.
        """
        return await self._fetch_page(queryset, offset=self.offset, limit=self.limit)


class KeysetQuery(ListQuery):
    """Pages by cursors: `cursor`, `size`, `order` and the filters of `Meta`."""

    cursor: Annotated[str | None, BeforeValidator(single_value), Field(json_schema_extra=CURSOR)] = None
    size: Annotated[int, Field(ge=1, le=MAX_SIZE), *COUNT] = DEFAULT_SIZE

    async def fetch(self, queryset: QuerySet[M]) -> KeysetPage[M]:
        """The page of the queryset at the cursor, filtered and ordered by the request; see `keyset_page`."""
        return await keyset_page(self.filter_queryset(queryset), self.order, cursor=self.cursor, size=self.size)


def check_list_queries() -> None:
    """Check the filters of lists on related models. Raises SanicBaseError."""
    models = {model for app in (Tortoise.apps or {}).values() for model in app.values()}
    for cls in _subclasses(ListQuery):
        source = cls.declaration.source
        if source in models:
            for filter_ in cls.declaration.filters:
                _ = filter_.resolved
            if issubclass(cls, KeysetQuery):
                cls.declaration.for_each_order(check_position)


def _subclasses(cls: type[ListQuery]) -> Iterator[type[ListQuery]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _add_fields(cls: type[ListQuery], declared: Declaration) -> None:
    """Add a field for each filter, and the limits. It runs before pydantic collects the fields."""
    annotations = inspect.get_annotations(cls)
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__pydantic_fields__", {})}
    for filter_ in declared.filters:
        if filter_.entry in inherited | annotations.keys() or hasattr(cls, filter_.entry):
            raise SanicBaseError(
                f"{cls.__name__}: {filter_.entry!r} cannot be a filter, since the class has this name already."
            )
        annotations[filter_.entry] = filter_.annotation() | None
        setattr(cls, filter_.entry, None)
    size = (annotated(int, Field(ge=1, le=declared.max_size), *COUNT), declared.size)
    limits: dict[str, tuple[Any, Any]] = {
        "size": size,
        "limit": size,
        "order": (_order_type(declared), declared.default_order),
        "page": (annotated(int, Field(ge=1, le=MAX_ROWS // declared.max_size), *COUNT), 1),
    }
    for name in limits.keys() & inherited:
        annotations[name], default = limits[name]
        setattr(cls, name, default)
    if "cursor" in inherited and declared.totals != ("exact",):
        raise SanicBaseError(f"{cls.__name__}: pages with cursors have no total. Remove it from Meta.")
    if len(declared.totals) > 1:
        if "total" in annotations:
            raise SanicBaseError(
                f"{cls.__name__}: 'total' is a filter, so a request cannot choose the total. Set a single one in Meta."
            )
        literal: Any = Literal.__getitem__(declared.totals)
        annotations["total"] = annotated(literal, BeforeValidator(single_value))
        setattr(cls, "total", declared.totals[0])  # noqa: B010
    cls.__annotations__ = annotations
    if "cursor" in inherited:
        declared.for_each_order(check_position)


def _order_type(declared: Declaration) -> Any:
    schema: dict[str, Any] = {
        "items": {"type": "string", "enum": [sign + name for name in declared.orders for sign in ("", "-")]}
    }
    return Annotated[
        tuple[str, ...],
        AfterValidator(declared.check_order),
        BeforeValidator(split_commas),
        Field(json_schema_extra=schema),
    ]


def _invalid(cls: type[ListQuery], error: ValidationError) -> InvalidQuery:
    """All errors of the query as one exception."""
    names = list(cls.model_fields)
    allowed = ", ".join(sorted(names, key=lambda name: (*FIRST_PARAMETERS, name).index(name)))
    errors: list[InvalidQuery] = []
    for item in reversed(error.errors(include_url=False, include_input=False)[:MAX_ERRORS]):
        path, code, message = ".".join(map(str, item["loc"])), item["type"], item["msg"]
        context = item.get("ctx", {})
        if code == "extra_forbidden":
            path, code = path[:MAX_NAME_LENGTH].encode(errors="replace").decode(), "unknown_parameter"
            message = f"There is no filter {path!r}. Allowed: {allowed}."
            context = {"name": repr(path), "allowed": allowed}
        others = errors[-1].errors if errors else ()
        errors.append(InvalidQuery(message, path=path, code=code, context=context, others=others))
    return errors[-1]
