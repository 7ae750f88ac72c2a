"""`/room/<name>`: what a client says, everybody in the room hears."""

from sanic.request import Request

from sanicbase.ws import Rooms, WSView

rooms = Rooms()


class RoomWS(WSView):
    """One client in a room, which hears itself as well."""

    name: str

    @classmethod
    async def admit(cls, request: Request) -> None:
        """Let everybody in who names a room."""
        await rooms.admit(request.match_info["name"])

    async def on_connect(self) -> None:
        """Join."""
        await rooms.join(self.name, self)

    async def on_message(self, message: str | bytes) -> None:
        """Pass it on to the room."""
        try:
            await rooms.publish(self.name, message)
        except ValueError as exc:
            await self.close(1009, str(exc))

    async def on_disconnect(self, code: int) -> None:
        """Leave."""
        rooms.leave(self.name, self)
