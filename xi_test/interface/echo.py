"""`/echo`: a WebSocket that answers what it is told."""

from sanicbase.ws import WSView


class EchoWS(WSView, public=True):
    """An echo."""

    async def on_message(self, message: str | bytes) -> None:
        """Send every message back."""
        await self.send(message)
