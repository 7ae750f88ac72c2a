"""Random tokens: their digests, and a token for development if the settings have none."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from sanicbase.private_directory import make_private_directory

__all__ = ["get_or_create_token", "token_digest"]


def get_or_create_token(path: Path, *, setting: str) -> tuple[str, bool]:
    """The random token in that file, and whether this call created it. For development only.

    If several processes call it at the same time, exactly one creates the file, atomically. Only this OS account can
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


def token_digest(token: str) -> str:
    """The form in which a random token is stored and looked up: SHA-256 in hexadecimal, 64 characters.

    A random token needs no slow hash, and the time of an index lookup by digest reveals no part of the token. Any text
    has a digest, including a header's bytes that are not UTF-8.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
