"""The HTTP service."""

from sanicbase import create_app, serve
from shop.config import config
from shop.url_main import http

app = create_app(config, http)

if __name__ == "__main__":
    serve(app)
