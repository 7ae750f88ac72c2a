"""`/room/<name>`: a chat room. Every message goes to all clients in it."""

from sanic.request import Request

from sanicbase.ws import Rooms, WSView

rooms = Rooms()


class RoomWS(WSView):
    """One client in a room. It receives its own messages as well."""

    name: str

    @classmethod
    async def admit(cls, request: Request) -> None:
        """Admit everyone with a valid room name."""
        await rooms.admit(request.match_info["name"])

    async def on_connect(self) -> None:
        """Join the room."""
        await rooms.join(self.name, self)

    async def on_message(self, message: str | bytes) -> None:
        """Publish the message in the room."""
        try:
            await rooms.publish(self.name, message)
        except ValueError as exc:
            await self.close(1009, str(exc))

    async def on_disconnect(self, code: int) -> None:
        """Leave the room."""
        rooms.leave(self.name, self)
