"""The WebSocket service."""

from sanicbase import create_app, serve
from shop.config import config
from shop.interface.socket import rooms
from shop.url_main import ws

app = create_app(config, ws, resources=(rooms,))

if __name__ == "__main__":
    serve(app)
