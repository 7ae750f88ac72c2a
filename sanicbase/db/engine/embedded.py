"""Tortoise's engine for the embedded SQLite; its private folder is created when the engine is first loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sanicbase.db.engine.sqlite import client_class
from sanicbase.private_directory import make_private_directory

__all__ = ["embedded_file", "get_client_class"]


def get_client_class(db_info: dict[str, Any]) -> type[client_class]:
    """Called by Tortoise, also under aerich, for an engine that chooses its client."""
    make_private_directory(Path(db_info["credentials"]["file_path"]).parent, setting="DB_URL")
    return client_class


def embedded_file(tortoise: dict[str, Any], label: str) -> Path | None:
    """The file of a label's embedded database in Tortoise's configuration; None for another database."""
    connection = tortoise["connections"][tortoise["apps"][label]["default_connection"]]
    return Path(connection["credentials"]["file_path"]) if connection["engine"] == __name__ else None
