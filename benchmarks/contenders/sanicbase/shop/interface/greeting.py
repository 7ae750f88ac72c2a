"""`/plaintext` and `/json`: without any store."""

from pydantic import BaseModel
from sanic import HTTPResponse, Request
from sanic.response import text

from shop.base_api import BaseAPI


class Message(BaseModel):
    """A greeting."""

    message: str


class PlaintextAPI(BaseAPI):
    """A response of Sanic's, which is left as it is."""

    async def get(self, request: Request) -> HTTPResponse:
        """Greet in plain text."""
        return text("Hello, World!")


class JsonAPI(BaseAPI):
    """A model."""

    async def get(self, request: Request) -> Message:
        """Greet in JSON."""
        return Message(message="Hello, World!")
