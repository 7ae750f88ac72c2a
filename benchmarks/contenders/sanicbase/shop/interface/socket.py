"""`/echo` and `/room`: WebSockets."""

from sanic import Request

from sanicbase.ws import Rooms, WSView

rooms = Rooms()


class EchoWS(WSView, public=True):
    """Says what it hears."""

    async def on_message(self, message: str | bytes) -> None:
        """Send it back."""
        await self.send(message)


class RoomWS(WSView):
    """A member of the one room."""

    @classmethod
    async def admit(cls, request: Request) -> None:
        """Let everybody in."""
        await rooms.admit("bench")

    async def on_connect(self) -> None:
        """Join."""
        await rooms.join("bench", self)

    async def on_message(self, message: str | bytes) -> None:
        """Pass it on to the room."""
        await rooms.publish("bench", message)

    async def on_disconnect(self, code: int) -> None:
        """Leave."""
        rooms.leave("bench", self)
