"""`/views`: as many views as the harness asks for."""

from pydantic import BaseModel
from sanic import Blueprint, Request

from shop.base_api import BaseAPI


class ViewAnswer(BaseModel):
    """What one of many views answers."""

    view: int
    item_id: int


def attach_view(blueprint: Blueprint, number: int) -> None:
    """Define a view, and give it its path."""

    class ManyAPI(BaseAPI):
        async def get(self, request: Request, item_id: int) -> ViewAnswer:
            return ViewAnswer(view=number, item_id=item_id)

    ManyAPI.attach(blueprint, f"/views/{number}/<item_id:int>", name=f"view_{number}")
