"""Folders of static files. No request can leave its folder."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.response import HTTPResponse

from sanicbase.errors import SanicBaseError
from sanicbase.http.files.media_types import media_type
from sanicbase.http.files.sending import open_regular, send_file
from sanicbase.http.guards import BEARER, Admission, Guard
from sanicbase.http.request import Request
from sanicbase.server.context import ERROR_FORMAT, App

__all__ = ["static"]

METHODS = ("GET", "HEAD")
UNNAMED = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")  # a backslash separates on other systems
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


def static(
    to: App | Blueprint,
    uri: str,
    folder: Path | str,
    *,
    admit: Guard | None = None,
    public: bool = False,
    max_age: int = 0,
    immutable: str = "",
) -> None:
    """Serve the files of a folder below that path: `static(http, "/assets", "dist", public=True)`.

    `admit` decides who may read them, like that of a view; either `admit` or `public=True` is required. Folders,
    symbolic links, and hidden files and folders, whose names begin with a dot, are a 404.

    A browser keeps a file for `max_age` seconds; with 0 it checks on every use whether the file has changed. Files
    whose path matches the regular expression `immutable` are kept for a year: `r"[.-][0-9a-f]{8,}\\."` for names that
    contain a hash of the content. Raises SanicBaseError when the folder does not exist.
    """
    folder = Path(folder).absolute()
    if sys.platform == "win32":
        raise SanicBaseError(f"{folder} cannot be served: static files need a POSIX system.")
    if not folder.is_dir():
        raise SanicBaseError(f"{folder}, which {uri} serves, is no folder. Create it, or correct the path.")
    hashed = re.compile(immutable) if immutable else None
    fresh = f"public, max-age={max_age}" if max_age else REVALIDATE

    async def serve(request: Request, path: str) -> HTTPResponse | None:
        names = _names(path)
        cache = IMMUTABLE if hashed is not None and hashed.search(path) else fresh
        if not public:
            cache = cache.replace("public", "private")
        return await send_file(
            request, partial(_open_below, folder, names), media_type(names[-1]), {"Cache-Control": cache}
        )

    guards = Admission(admit, public, BEARER).guards(f"The folder {folder} at {uri}")
    name = re.sub(r"\W+", "_", f"static_{uri}").strip("_")
    to.add_route(
        serve,
        f"{uri.rstrip('/')}/<path:path>",
        methods=METHODS,
        name=name,
        strict_slashes=True,
        error_format=ERROR_FORMAT,
        ctx_guards=guards,
    )


def _names(path: str) -> list[str]:
    """The names in a percent-encoded path below the folder.

    Raises NotFound for `..`, for an empty name, with which an absolute path begins, for a hidden one, and for one with
    characters that separate or end names on some systems."""
    try:
        path = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise NotFound("The file does not exist.") from None
    names = path.split("/")
    if UNNAMED.search(path) or any(not name or name.startswith(".") for name in names):
        raise NotFound("The file does not exist.")
    return names


def _open_below(folder: Path, names: list[str]) -> int:
    """Open a file, one name after the other, starting at the folder. No link is followed, even if it is created in the
    meantime."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = below
        return open_regular(names[-1], flags=os.O_NOFOLLOW, directory=directory)
    finally:
        os.close(directory)
