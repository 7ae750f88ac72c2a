"""What a start says: one short block."""

from __future__ import annotations

from sanicbase.app.listening import Listening
from sanicbase.config import Config
from sanicbase.config.secrets import shown_connection
from sanicbase.config.stores import EMBEDDED, hide_password

__all__ = ["summary"]


def summary(config: Config, name: str, listening: Listening) -> str:
    """The service, where it listens, and where its data lives; embedded stores are named as such."""
    scheme = "ws" if name.endswith("_ws") else "http"
    lines = {
        "service": f"{name} ({config.ENV}, {listening.workers} worker{'s' * (listening.workers > 1)})",
        "address": f"{scheme}://{listening.host}:{listening.port}/{config.SERVER_NAME}",
        "database": _databases(config),
        "cache": _caches(config),
        "logs": str(config.log_dir),
    }
    if scheme == "http" and config.serves_docs:
        lines["docs"] = f"http://{listening.host}:{listening.port}/docs"
    width = max(map(len, lines))
    return "".join(f"  {label:<{width}}  {value}\n" for label, value in lines.items())


def _databases(config: Config) -> str:
    shown = []
    for name, connection in config.databases().items():
        embedded = f"embedded SQLite in {config.private_dir()}"
        shown.append(_named(name, embedded if connection == EMBEDDED else shown_connection(connection)))
    return ", ".join(shown)


def _caches(config: Config) -> str:
    urls = config.redis_urls(EMBEDDED)
    return ", ".join(
        _named(name, "embedded Valkey of this project" if url == EMBEDDED else hide_password(url))
        for name, url in urls.items()
    )


def _named(name: str, shown: str) -> str:
    return shown if name == "default" else f"{name}: {shown}"
