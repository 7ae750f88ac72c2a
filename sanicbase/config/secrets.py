"""Which settings are secrets, how they are shown, and when they are too weak."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from sanicbase.config.stores import Connection, hide_password

__all__ = ["hidden", "is_secret", "shown_connection", "weak_secrets"]

SECRET_NAMES = ("TOKEN", "SECRET", "PASSWORD", "KEY")
WEAK = 16  # characters; an HMAC key or a random token below this can be guessed


def is_secret(name: str) -> bool:
    """Whether a setting or a credential of that name is a secret."""
    return name.upper().endswith(SECRET_NAMES)


def hidden(name: str, value: Any) -> Any:
    """The value as it may be shown: secrets and passwords become `***`, in URLs and dictionaries too."""
    if isinstance(value, dict):
        return {key: hidden(key, inner) for key, inner in value.items()}
    if is_secret(name):
        return "***" if value else value
    if isinstance(value, list):
        return [hidden(name, inner) for inner in value]
    return hide_password(value) if isinstance(value, str) and "://" in value else value


def weak_secrets(settings: BaseModel) -> list[str]:
    """The names of the secrets that are set, yet short or of a few different characters only."""
    fields = [name for name in type(settings).model_fields if is_secret(name)]
    values = {name: str(getattr(settings, name) or "") for name in fields}
    return [name for name, value in values.items() if value and (len(value) < WEAK or len(set(value)) < WEAK // 3)]


def shown_connection(connection: Connection) -> str:
    """A database as it may be named in a sentence: without its password."""
    if isinstance(connection, str):
        return hide_password(connection)
    credentials = connection["credentials"]
    where = credentials.get("host") or credentials.get("file_path")
    return f"{connection['engine']} at {where}:{credentials.get('port', '')}/{credentials.get('database', '')}"
