"""Names for types that would be long to write."""

from __future__ import annotations

from types import SimpleNamespace

from sanic import Sanic
from sanic.config import Config as SanicConfig

__all__ = ["App"]

App = Sanic[SanicConfig, SimpleNamespace]
"""A plain Sanic app, as `create_app` returns it."""
