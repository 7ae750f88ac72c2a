"""A token for development, where the settings have none."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from sanicbase.private_directory import make_private_directory

__all__ = ["get_or_create_token"]


def get_or_create_token(path: Path, *, setting: str) -> tuple[str, bool]:
    """The random token in that file, and whether this call created it. For development only.

    When processes call it at the same time, exactly one creates the file, whole or not at all. Only this account can
    read it. Raises ResourceError, which recommends `setting`.
    """
    make_private_directory(path.parent, setting=setting)
    token = secrets.token_urlsafe(24)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token)
        os.link(name, path)
    except FileExistsError:
        return path.read_text(encoding="utf-8"), False
    finally:
        Path(name).unlink()
    return token, True
