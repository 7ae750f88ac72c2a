"""Cache models over the library's tables, one of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field
from tortoise.functions import Count

from sanicbase import RCModel
from tests.db.library import Author, Book, Leaflet, Shelf, Tally


class AuthorRC(RCModel):
    id: int
    name: str

    class Meta:
        source = Author
        unique = ("name",)


class BookRC(RCModel):
    """Books can be deleted softly."""

    id: int
    slug: str
    title: str
    author_id: int | None

    class Meta:
        source = Book
        unique = ("slug",)


class ShelfRC(RCModel):
    id: UUID
    code: str
    label: str | None
    room: int

    class Meta:
        source = Shelf
        unique = ("code", "label")
        negative_ttl = 0


class TallyRC(RCModel):
    name: str
    n: int

    class Meta:
        source = Tally


class BookCountRC(RCModel):
    """How many books an author has; every author has a count."""

    author_id: int
    books: int

    class Meta:
        key = "author_id"
        watches = {Book: "author_id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        rows = (
            await Book.filter(author_id__in=keys)
            .annotate(books=Count("id"))
            .group_by("author_id")
            .values("author_id", "books")
        )
        counted = {row["author_id"]: row["books"] for row in rows}
        return [cls(author_id=key, books=counted.get(key, 0)) for key in keys]


class BlobRC(RCModel):
    """As many characters as its key says; the keys below zero are wrong."""

    id: int
    text: str

    class Meta:
        key = "id"
        watches = {Leaflet: "id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(id=key, text="x" * key) for key in map(checked, keys)]


def checked(key: int) -> int:
    if key < 0:
        raise ArithmeticError(f"There is no blob {key}.")
    return key


class BytesRC(RCModel):
    """Bytes that are no text, which JSON does not take."""

    id: int
    raw: bytes

    class Meta:
        key = "id"
        watches = {Leaflet: "id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(id=key, raw=bytes([key])) for key in keys]


class SmallTallyRC(RCModel):
    """Tallies below 100; others are refused."""

    name: str
    n: Annotated[int, Field(lt=100)]

    class Meta:
        source = Tally


class SettingRC(RCModel):
    """In Redis alone; its fields have the names of parameters."""

    key: str
    where: str = ""

    class Meta:
        key = "key"


class SessionRC(RCModel):
    """Kept in Redis alone."""

    user_id: int
    device: str
    visits: int = 0

    class Meta:
        key = ("user_id", "device")
        ttl = 60


class DraftRC(RCModel):
    """Kept in Redis alone, until it is deleted."""

    id: str
    text: str = ""

    class Meta:
        pass


class NoteRC(RCModel):
    """Kept in Redis alone, with an alias and a field that not every value of comes back."""

    id: int
    text: str = Field("", alias="theText")
    extra: object = None

    class Meta:
        ttl = 60
