"""A service as a Sanic app, and the processes that serve it."""

from sanicbase.app.factory import create_app
from sanicbase.server.serve import serve

__all__ = ["create_app", "serve"]
