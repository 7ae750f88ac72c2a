"""Bodies and answers as pydantic models, for the contenders whose own way that is."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Order(BaseModel):
    """A body of ten fields, of which each has a rule."""

    customer: Annotated[str, Field(min_length=1, max_length=80)]
    email: Annotated[str, Field(pattern=r"^[^@ ]+@[^@ ]+$")]
    street: Annotated[str, Field(min_length=1, max_length=80)]
    city: Annotated[str, Field(min_length=1, max_length=80)]
    postcode: Annotated[str, Field(pattern=r"^[0-9]{5}$")]
    country: Annotated[str, Field(min_length=2, max_length=2)]
    sku: Annotated[str, Field(min_length=1, max_length=40)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[float, Field(ge=0)]
    express: bool


class Item(BaseModel):
    """A row of the table `item`."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    category: str
    description: str
    price: int
    stock: int
    active: bool
    created_at: datetime


class ItemPage(BaseModel):
    """A page of them, and how many there are."""

    items: list[Item]
    total: int


class NoteIn(BaseModel):
    """A new note."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    author: Annotated[str, Field(min_length=1, max_length=40)]
    body: str


class Note(NoteIn):
    """A row of the table `note`."""

    model_config = ConfigDict(from_attributes=True)

    id: int


class StockIn(BaseModel):
    """A change of an item."""

    stock: Annotated[int, Field(ge=0)]


class ViewAnswer(BaseModel):
    """What one of many views answers."""

    view: int
    item_id: int
