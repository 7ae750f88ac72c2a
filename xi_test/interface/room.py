"""`/room/<name>`: a chat room. Every message goes to all clients in it. In the room of articles the service alone tells
of new ones."""

from sanic.request import Request

from sanicbase.ws import Rooms
from xi_test.base_api import BaseWS
from xi_test.config.consts import ARTICLES_ROOM
from xi_test.model_rc.user import UserRC

rooms = Rooms()


class RoomWS(BaseWS):
    """One client in a room. It receives its own messages as well."""

    name: str
    user: UserRC | None

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Admit everyone with a valid room name, and identify the user, as `BaseWS` does."""
        await rooms.admit(request.match_info["name"])
        return await super().admit(request)

    async def on_connect(self) -> None:
        """Join the room."""
        await rooms.join(self.name, self)

    async def on_message(self, message: str | bytes) -> None:
        """Publish the message in the room."""
        if self.name == ARTICLES_ROOM:
            await self.close(1008, "Only the service publishes in this room.")
            return
        try:
            await rooms.publish(self.name, message)
        except ValueError as exc:
            await self.close(1009, str(exc))

    async def on_disconnect(self, code: int) -> None:
        """Leave the room."""
        rooms.leave(self.name, self)
