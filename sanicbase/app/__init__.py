"""A service as a Sanic app."""

from sanicbase.app.factory import create_app
from sanicbase.server.serve import serve

__all__ = ["create_app", "serve"]
