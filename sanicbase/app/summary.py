"""The summary that a start prints."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from sanic import Blueprint

from sanicbase.config import Config
from sanicbase.config.database_urls import EMBEDDED, embedded_name, hide_password
from sanicbase.config.secrets import shown_connection
from sanicbase.server.bind_address import BindAddress

__all__ = ["common_prefix", "summary"]


def summary(config: Config, name: str, address: BindAddress, prefix: str) -> str:
    """The service, its address, and where its data is; embedded stores are named as such.

    `prefix` is the common prefix of the paths of its own routes.
    """
    scheme = "ws" if name.endswith("_ws") else "http"
    lines = {
        "service": f"{name} ({config.ENV}, {address.workers} worker{'s' * (address.workers > 1)})",
        "address": f"{scheme}://{address.host}:{address.port}{prefix}",
        "database": _databases(config),
        "cache": _caches(config),
        "logs": str(config.log_dir),
    }
    if scheme == "http" and config.serves_docs:
        lines["docs"] = f"http://{address.host}:{address.port}/docs"
    width = max(map(len, lines))
    return "".join(f"  {label:<{width}}  {value}\n" for label, value in lines.items())


def common_prefix(blueprints: Iterable[Blueprint]) -> str:
    """The common prefix of the paths of all routes of these blueprints: `/v1/shop`; empty when there is none."""
    paths = [route.path.strip("/").split("/")[:-1] for blueprint in blueprints for route in blueprint.routes]
    common = takewhile(lambda segments: len(set(segments)) == 1 and "<" not in segments[0], zip(*paths, strict=False))
    return "".join(f"/{segments[0]}" for segments in common)


def _databases(config: Config) -> str:
    databases = []
    for name, connection in config.databases().items():
        owner = embedded_name(connection)
        embedded = f"embedded SQLite{owner and f' of {owner}'} in {config.private_dir()}"
        databases.append(_named(name, shown_connection(connection) if owner is None else embedded))
    return ", ".join(databases)


def _caches(config: Config) -> str:
    urls = config.redis_urls(EMBEDDED)
    return ", ".join(
        _named(name, "embedded Valkey of this project" if url == EMBEDDED else hide_password(url))
        for name, url in urls.items()
    )


def _named(name: str, text: str) -> str:
    return text if name == "default" else f"{name}: {text}"
