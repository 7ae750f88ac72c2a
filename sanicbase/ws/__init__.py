"""WebSockets: views, and rooms whose members are connected to any worker."""

from sanicbase.ws.room import Rooms
from sanicbase.ws.view import WSView

__all__ = ["Rooms", "WSView"]
