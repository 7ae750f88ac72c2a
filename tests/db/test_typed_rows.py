"""fetch_models makes the same objects as pydantic makes of instances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tortoise.functions import Count

from sanicbase.db.typed_rows import fetch_models
from sanicbase.errors import SanicBaseError
from tests.db.library import Author, Book
from tests.db.opening import Store, opened


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="forbid")

    id: int
    slug: str
    price: Decimal | None
    facts: dict[str, Any] | None
    author_id: int | None
    created_at: datetime


class BookLine(BaseModel):
    key: int = Field(0, alias="number")
    title: str = Field(validation_alias="heading")
    author__name: str | None
    remark: str = "none"


class Counted(BaseModel):
    author_id: int
    n: int


class WithUnknown(BaseModel):
    id: int
    colour: str


class TooLong(BaseModel):
    slug: str = Field(max_length=1)


@pytest.fixture(autouse=True)
async def library(store: Store) -> AsyncIterator[None]:
    async with opened(store, "tests.db.library"):
        author = await Author.create(id=1, name="Ann")
        await Book.create(id=1, slug="a", title="A", price=Decimal("1.50"), facts={"pages": [1]}, author=author)
        await Book.create(id=2, slug="ab", title="B")
        yield


async def test_models_are_those_of_the_instances() -> None:
    rows = Book.all().order_by("-id")
    assert await fetch_models(rows, BookOut) == [BookOut.model_validate(row) for row in await rows]
    assert await fetch_models(rows.filter(id=3), BookOut) == []


async def test_fields_name_columns_by_their_own_names() -> None:
    lines = await fetch_models(Book.all().order_by("id"), BookLine)
    assert [line.model_dump() for line in lines] == [
        {"key": 0, "title": "A", "author__name": "Ann", "remark": "none"},
        {"key": 0, "title": "B", "author__name": None, "remark": "none"},
    ]


async def test_annotations_are_values() -> None:
    rows = Book.filter(author_id=1).annotate(n=Count("id")).group_by("author_id")
    assert await fetch_models(rows, Counted) == [Counted(author_id=1, n=1)]


async def test_field_without_a_column_is_refused() -> None:
    with pytest.raises(SanicBaseError, match=r"WithUnknown.colour is no column of Book"):
        await fetch_models(Book.all(), WithUnknown)


async def test_row_that_is_not_valid_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 1 character"):
        await fetch_models(Book.all(), TooLong)
