"""`/cached`: items through Redis."""

from typing import Annotated

from pydantic import BaseModel, Field
from sanic import Request
from sanic.exceptions import NotFound

from shop.base_api import BaseAPI
from shop.model_rc.item import ItemRC


class StockIn(BaseModel):
    """A change of an item."""

    stock: Annotated[int, Field(ge=0)]


class CachedAPI(BaseAPI):
    """One item."""

    async def get(self, request: Request, key: int) -> ItemRC:
        """The item with that key."""
        return await ItemRC.get_or_fail(key)

    async def patch(self, request: Request, key: int, body: StockIn) -> ItemRC:
        """Change its stock."""
        item = await ItemRC.update(key, stock=body.stock)
        if item is None:
            raise NotFound
        return item
