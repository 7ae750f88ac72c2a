"""`/orders`: a body of ten fields, of which each has a rule."""

from typing import Annotated

from pydantic import BaseModel, Field
from sanic import Request

from shop.base_api import BaseAPI


class Order(BaseModel):
    """An order."""

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


class OrdersAPI(BaseAPI):
    """All orders."""

    async def post(self, request: Request, body: Order) -> Order:
        """Take an order."""
        return body
