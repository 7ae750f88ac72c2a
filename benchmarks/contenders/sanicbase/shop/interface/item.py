"""Rows of a table, straight from it."""

import asyncio
from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sanic import Request

from sanicbase import Page, PageQuery, fetch_models
from shop.base_api import BaseAPI
from shop.model_db.main import Item


class ItemOut(BaseModel):
    """An item."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    category: str
    description: str
    price: int
    stock: int
    active: bool
    created_at: datetime


class ItemAPI(BaseAPI):
    """One item."""

    async def get(self, request: Request, key: int) -> ItemOut:
        """The item with that key."""
        return ItemOut.model_validate(await Item.get_by_pk_or_fail(key))


class TwentyAPI(BaseAPI):
    """Twenty items, each by its own call."""

    async def get(self, request: Request, first: int) -> list[ItemOut]:
        """The items with that key and the next ones."""
        items = await asyncio.gather(*(Item.get_by_pk_or_fail(key) for key in range(first, first + 20)))
        return [ItemOut.model_validate(item) for item in items]


class DictionariesAPI(BaseAPI):
    """The first hundred items, as dictionaries."""

    async def get(self, request: Request) -> list[dict[str, str | int | bool | datetime]]:
        """The first hundred items."""
        return await Item.all().order_by("id").limit(100).values()


class ModelsAPI(BaseAPI):
    """The first hundred items, as models."""

    async def get(self, request: Request) -> list[ItemOut]:
        """The first hundred items."""
        return await fetch_models(Item.all().order_by("id").limit(100), ItemOut)


class ItemQuery(PageQuery):
    """What may be asked of the list."""

    class Meta:
        source = Item
        orders = ("id",)
        default_order = "id"
        size = 20


class ItemsAPI(BaseAPI):
    """All items."""

    async def get(self, request: Request, query: ItemQuery) -> Page[ItemOut]:
        """A page of the items."""
        page = await query.fetch(Item.all())
        return page.map(ItemOut.model_validate)
