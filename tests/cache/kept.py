"""Values of pydantic's types, and whether Redis gives them back: for each a class whose entries hold that value."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Network
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    Json,
    JsonValue,
    PlainSerializer,
    RootModel,
    SerializeAsAny,
    computed_field,
    field_serializer,
    field_validator,
)
from pydantic_core import core_schema
from typing_extensions import TypedDict

from sanicbase import RCModel
from tests.db.library import Book

__all__ = ["KEPT", "Kept", "MomentRC", "PriceRC", "TrimmedRC", "kept_class"]


class Color(Enum):
    RED = "r"
    PAIR = (1, 2)


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    HI = "hi"


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Box:
    size: Decimal
    tags: set[str]


class Facts(TypedDict):
    at: datetime
    note: NotRequired[str]


class Base(BaseModel):
    x: int


class Sub(Base):
    y: int = 2


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    born: date


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    born: date


class Aliased(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    x: int = Field(alias="ex")
    y: int = Field(default=2, serialization_alias="why")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.x


class Hiding(BaseModel):
    x: int
    hidden: int = Field(0, exclude=True)


class Base64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
    raw: bytes
    number: float = float("inf")


class Halves(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float")
    span: timedelta


class Writing(BaseModel):
    at: date

    @field_serializer("at")
    def write(self, at: date) -> str:
        return f"{at:%d.%m.%Y}"


class Complex:
    """A type with a validator that knows Python's objects only."""

    def __init__(self, real: float) -> None:
        self.real = real

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Complex) and other.real == self.real

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(cls)


class Kept(NamedTuple):
    """A type, a value of it, and whether Redis keeps it; else each read loads it."""

    kind: Any
    value: Any
    kept: bool = True


ZONE = timezone(timedelta(hours=5, minutes=30))
AT = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=ZONE)
KEPT: dict[str, Kept] = {
    "int": Kept(int, -(10**30)),
    "bool": Kept(bool, True),
    "none": Kept(int | None, None),
    "str": Kept(str, "\u0000\u2028é🐈'\"\\"),
    "half a character": Kept(str, "\ud800", kept=False),
    "float": Kept(float, 0.1 + 0.2),
    "float that is whole": Kept(float, 1.0),
    "infinity": Kept(float, float("inf"), kept=False),
    "no number": Kept(float, float("nan"), kept=False),
    "infinity by config": Kept(Base64, Base64(raw=b"\xff\x00")),
    "bytes": Kept(bytes, b"text"),
    "bytes that are no text": Kept(bytes, b"\xff", kept=False),
    "decimal": Kept(Decimal, Decimal("1.230000000000000000000000000000001")),
    "decimal that is none": Kept(Annotated[Decimal, Field(allow_inf_nan=True)], Decimal("Infinity")),
    "date": Kept(date, date(1, 1, 1)),
    "time": Kept(time, time(1, 2, 3, 4)),
    "time of a zone": Kept(time, time(1, 2, 3, 4, tzinfo=ZONE)),
    "moment": Kept(datetime, AT),
    "moment of a place": Kept(datetime, datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))),
    "moment in utc": Kept(datetime, AT.astimezone(UTC)),
    "moment without a zone": Kept(datetime, datetime(2024, 2, 29, 1, 2, 3, 4)),  # noqa: DTZ001
    "duration": Kept(timedelta, timedelta(days=-3, microseconds=1)),
    "duration as a float": Kept(Halves, Halves(span=timedelta(days=400, microseconds=1))),
    "uuid": Kept(UUID, UUID(int=7)),
    "enum": Kept(Color, Color.RED),
    "enum of a pair": Kept(Color, Color.PAIR, kept=False),
    "enum of ints": Kept(Level, Level.LOW),
    "enum of texts": Kept(Word, Word.HI),
    "literal": Kept(Literal["a", 1], 1),
    "list": Kept(list[date], [date(2024, 1, 1)]),
    "set": Kept(set[int], {1, 2}),
    "frozenset": Kept(frozenset[str], frozenset("ab")),
    "tuple": Kept(tuple[int, str], (1, "x")),
    "tuple of many": Kept(tuple[UUID, ...], (UUID(int=1), UUID(int=2))),
    "named tuple": Kept(Point, Point(1, 2.5)),
    "deque": Kept(deque[int], deque([1, 2])),
    "dict": Kept(dict[str, Decimal], {"a": Decimal("1.0")}),
    "dict by numbers": Kept(dict[int, str], {1: "x"}),
    "dict by days": Kept(dict[date, int], {date(2024, 1, 1): 1}),
    "dict by pairs": Kept(dict[tuple[int, int], int], {(1, 2): 1}, kept=False),
    "dict by a number or a text": Kept(dict[int | str, int], {1: 1}, kept=False),
    "model": Kept(Base, Base(x=1)),
    "subclass": Kept(Base, Sub(x=1), kept=False),
    "subclass as any": Kept(SerializeAsAny[Base], Sub(x=1), kept=False),
    "models apart": Kept(Cat | Dog, Dog(born=date(2024, 1, 1))),
    "root model": Kept(RootModel[set[int]], RootModel[set[int]]({1})),
    "model with aliases": Kept(Aliased, Aliased(ex=1)),
    "model that hides": Kept(Hiding, Hiding(x=1, hidden=2), kept=False),
    "model that writes": Kept(Writing, Writing(at=date(2024, 1, 1)), kept=False),
    "dataclass": Kept(Box, Box(Decimal("1.0"), {"a"})),
    "typed dict": Kept(Facts, {"at": AT}),
    "moment or text": Kept(datetime | str, AT),
    "text or moment": Kept(datetime | str, "tomorrow"),
    "text that looks like a moment": Kept(datetime | str, "2024-01-01T00:00:00", kept=False),
    "number or text": Kept(int | str, "1"),
    "uuid or text": Kept(UUID | str, UUID(int=1)),
    "text that looks like a uuid": Kept(UUID | str, str(UUID(int=1)), kept=False),
    "set or list": Kept(list[int] | set[int], {1}, kept=False),
    "bytes or text": Kept(str | bytes, b"x", kept=False),
    "any of JSON": Kept(Any, {"a": [1, 2.5, "x", None, True]}),
    "any moment": Kept(Any, AT, kept=False),
    "any tuple": Kept(Any, (1, 2), kept=False),
    "any object": Kept(Any, Base(x=1), kept=False),
    "object": Kept(object, {"a": Decimal(1)}, kept=False),
    "json value": Kept(JsonValue, {"a": [1, None]}),
    "json text": Kept(Json[list[int]], "[1, 2]"),
    "url": Kept(AnyUrl, "https://example.com/?q=1"),
    "address": Kept(IPv4Address, IPv4Address("127.0.0.1")),
    "network": Kept(IPv6Network, IPv6Network("::/64")),
    "path": Kept(PurePosixPath, PurePosixPath("/a/b")),
    "pattern": Kept(re.Pattern[str], re.compile("a+")),
    "size": Kept(ByteSize, "1 KiB"),
    "fraction": Kept(Fraction, Fraction(1, 3)),
    "type of its own": Kept(Complex, Complex(1.0), kept=False),
    "validator that repeats": Kept(Annotated[str, AfterValidator(str.strip)], " x "),
    "validator that does not": Kept(Annotated[int, BeforeValidator(lambda value: int(value) * 2)], 3, kept=False),
    "serializer": Kept(Annotated[date, PlainSerializer(lambda day: f"{day:%d.%m.%Y}")], date(2024, 1, 1), kept=False),
}


def kept_class(name: str, kind: Any, value: Any, **fields: Any) -> type[RCModel]:
    """A class whose entries have this value, as its own load makes them."""

    async def load(cls: Any, keys: Sequence[int]) -> Iterable[Any]:
        return [cls(id=key, value=value) for key in keys]

    body: dict[str, Any] = {
        "__annotations__": {"id": int, "value": kind},
        "__module__": __name__,
        "__qualname__": name,
        "Meta": type("Meta", (), {"key": "id", "watches": {Book: "id"}, "__qualname__": f"{name}.Meta"}),
        "load": classmethod(load),
    }
    return type(name, (RCModel,), body | fields)


class TrimmedRC(RCModel):
    """With a validator, aliases and a computed field of its own."""

    model_config = ConfigDict(serialize_by_alias=True)
    id: int = Field(alias="Id")
    name: str = Field(alias="theName")

    class Meta:
        key = "id"
        watches = {Book: "id"}  # so that only libraries with books open it

    @field_validator("name")
    @classmethod
    def trim(cls, name: str) -> str:
        return name.strip()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.name)

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(Id=key, theName=" ann ") for key in keys]


class MomentRC(RCModel):
    """A text that comes back as a moment."""

    id: int
    value: datetime | str

    class Meta:
        key = "id"
        watches = {Book: "id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        return [cls(id=key, value="2024-01-01T00:00:00") for key in keys]


class PriceRC(RCModel):
    """A row's fields by their names, whatever they are called by clients."""

    model_config = ConfigDict(serialize_by_alias=True)
    id: int
    title: str = Field(alias="theTitle")
    price: Decimal | None = Field(None, validation_alias="cost", serialization_alias="price")
    facts: dict[str, Any] | None = None

    class Meta:
        source = Book
