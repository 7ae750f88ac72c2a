"""What a start says: one short block."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from sanic import Blueprint

from sanicbase.config import Config
from sanicbase.config.secrets import shown_connection
from sanicbase.config.stores import EMBEDDED, embedded_name, hide_password
from sanicbase.server.listening import Listening

__all__ = ["common_prefix", "summary"]


def summary(config: Config, name: str, listening: Listening, prefix: str) -> str:
    """The service, where it listens, and where its data lives; embedded stores are named as such.

    `prefix` is what the paths of its own routes begin with.
    """
    scheme = "ws" if name.endswith("_ws") else "http"
    lines = {
        "service": f"{name} ({config.ENV}, {listening.workers} worker{'s' * (listening.workers > 1)})",
        "address": f"{scheme}://{listening.host}:{listening.port}{prefix}",
        "database": _databases(config),
        "cache": _caches(config),
        "logs": str(config.log_dir),
    }
    if scheme == "http" and config.serves_docs:
        lines["docs"] = f"http://{listening.host}:{listening.port}/docs"
    width = max(map(len, lines))
    return "".join(f"  {label:<{width}}  {value}\n" for label, value in lines.items())


def common_prefix(blueprints: Iterable[Blueprint]) -> str:
    """The segments that the paths of all routes of these blueprints begin with: `/v1/shop`; empty without any."""
    folders = [route.path.strip("/").split("/")[:-1] for each in blueprints for route in each.routes]
    common = takewhile(lambda parts: len(set(parts)) == 1 and "<" not in parts[0], zip(*folders, strict=False))
    return "".join(f"/{parts[0]}" for parts in common)


def _databases(config: Config) -> str:
    shown = []
    for name, connection in config.databases().items():
        owner = embedded_name(connection)
        embedded = f"embedded SQLite{owner and f' of {owner}'} in {config.private_dir()}"
        shown.append(_named(name, shown_connection(connection) if owner is None else embedded))
    return ", ".join(shown)


def _caches(config: Config) -> str:
    urls = config.redis_urls(EMBEDDED)
    return ", ".join(
        _named(name, "embedded Valkey of this project" if url == EMBEDDED else hide_password(url))
        for name, url in urls.items()
    )


def _named(name: str, shown: str) -> str:
    return shown if name == "default" else f"{name}: {shown}"
