"""The HTTP service: `python http_xi_test.py`."""

from sanicbase import create_app, serve
from xi_test.config import config
from xi_test.handler.record import access_records
from xi_test.url_main import http

app = create_app(config, http, resources=(access_records,))

if __name__ == "__main__":
    serve(app)
