"""`/echo`: a WebSocket that sends messages back."""

from sanicbase.ws import WSView


class EchoWS(WSView, public=True):
    """A WebSocket that sends messages back."""

    async def on_message(self, message: str | bytes) -> None:
        """Send every message back."""
        await self.send(message)
