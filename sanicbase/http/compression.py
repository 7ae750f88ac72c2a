"""Compressed responses: the coding that the client prefers, for bodies that become smaller, and never for streams.

A stream sends its chunks when they are ready, and a compressor would hold them back. A client may request a range of a
large file, and ranges do not apply to a compressed one. So both are sent unchanged.
"""

from __future__ import annotations

import gzip
import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from sanic.response import BaseHTTPResponse

from sanicbase.config import Config
from sanicbase.edge.response import add_vary
from sanicbase.errors import ConfigError
from sanicbase.http.request import AnyRequest
from sanicbase.i18n import gettext as _

__all__ = ["Compression", "acceptable", "install_compression"]

Compressor = Callable[[bytes, int], bytes]

SMALL = 131_072  # bytes; larger bodies are compressed at a lower level
MAX_SIZE = 1_048_576  # bytes; larger ones are not compressed, because it would block the event loop
LEVELS = {"zstd": (3, 1), "br": (4, 1), "gzip": (5, 1)}  # of small bodies, and of larger ones
COMPRESSIBLE = re.compile(
    r"text/(?!event-stream)|application/(?:[\w.-]+\+)?(?:json|xml|yaml|jsonl|javascript|wasm|x-ndjson)\b|image/svg\+xml"
)
WITH_BODY = (200, 201, 202, 203)  # and errors
ERROR = 400
NOT_MODIFIED = 304
ITEM = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?", re.IGNORECASE)
MAX_CACHED = 256  # characters of a header
ALIASES = {"x-gzip": "gzip"}


class Compression:
    """A response hook. It compresses with one of those codings, the first one if the client has no preference."""

    def __init__(self, codings: Sequence[str], min_size: int) -> None:
        """Raises ConfigError when a library is missing."""
        self._codings = tuple(codings)
        self._min_size = min_size
        self._compressors: Mapping[str, Compressor] = {coding: _compressor(coding) for coding in codings}

    def __call__(self, request: AnyRequest, response: BaseHTTPResponse) -> None:
        headers, body = response.headers, response.body
        if response.status == NOT_MODIFIED:
            add_vary(response, "Accept-Encoding")
        if not body or not self._is_compressible(request, response, body):
            return
        add_vary(response, "Accept-Encoding")
        coding = self._coding(request)
        if coding is None:
            return
        compressed = self._compressors[coding](body, LEVELS[coding][len(body) > SMALL])
        response.body = compressed
        headers["Content-Encoding"] = coding
        for name in ("content-length", "accept-ranges"):
            headers.pop(name, None)
        tag = headers.get("etag", "")
        if tag and not tag.startswith("W/"):
            headers["etag"] = f"W/{tag}"

    def _is_compressible(self, request: AnyRequest, response: BaseHTTPResponse, body: bytes) -> bool:
        headers = response.headers
        route = request.route
        return (
            self._min_size <= len(body) <= MAX_SIZE
            and (response.status in WITH_BODY or response.status >= ERROR)
            and "content-encoding" not in headers
            and "no-transform" not in headers.get("cache-control", "")
            and COMPRESSIBLE.match(str(headers.get("content-type") or response.content_type or "").lower()) is not None
            and (route is None or getattr(route.ctx, "compress", True))
        )

    def _coding(self, request: AnyRequest) -> str | None:
        """The coding that the client prefers; None for none."""
        header = ", ".join(request.headers.getall("accept-encoding", ()))
        accepted = _cached(header) if len(header) <= MAX_CACHED else acceptable(header)
        coding = max(self._codings, key=lambda coding: _quality(accepted, coding))
        quality = _quality(accepted, coding)
        return coding if quality and quality >= accepted.get("identity", 0) else None


def install_compression(config: Config, hooks: list[Callable[[AnyRequest, BaseHTTPResponse], None]]) -> None:
    """Add the hook if COMPRESSION names a coding. Raises ConfigError."""
    if config.COMPRESSION:
        hooks.append(Compression(config.COMPRESSION, config.COMPRESSION_MIN_SIZE))


def acceptable(header: str) -> Mapping[str, float]:
    """The qualities of the codings in an Accept-Encoding, and of `*` (RFC 9110, 12.5.3), without malformed items."""
    qualities: dict[str, float] = {}
    for item in header.split(","):
        if matched := ITEM.fullmatch(item):
            coding = matched[1].lower()
            qualities[ALIASES.get(coding, coding)] = float(matched[2] or 1)
    return qualities


_cached = lru_cache(maxsize=256)(acceptable)


def _quality(accepted: Mapping[str, float], coding: str) -> float:
    return accepted.get(coding, accepted.get("*", 0.0))


def _compressor(coding: str) -> Compressor:
    try:
        if coding == "zstd":
            zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
            return lambda body, level: bytes(zstd.compress(body, level))
        if coding == "br":
            brotli = importlib.import_module("brotli")
            return lambda body, level: bytes(brotli.compress(body, quality=level))
    except ImportError as exc:
        raise ConfigError(
            _(
                "COMPRESSION has {coding}, whose library is not installed. Run: {command}",
                coding=coding,
                command="pip install 'sanicbase[compression]'",
            )
        ) from exc
    return lambda body, level: gzip.compress(body, level, mtime=0)
