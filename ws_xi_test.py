"""The WebSocket service: `python ws_xi_test.py`."""

from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.interface.room import rooms
from xi_test.url_main import ws

app = create_app(config, ws, resources=(rooms,))

if __name__ == "__main__":
    serve(app)
