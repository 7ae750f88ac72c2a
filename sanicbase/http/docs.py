"""The documentation page at `/docs`: the service's OpenAPI document, and a form to try each operation.

It consists of a few plain files of our own: packages on PyPI contain a Swagger UI of 2023 without support for OpenAPI
3.1, or depend on a web framework, and none is in Chinese. The browser loads nothing from other hosts, and runs no
inline scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from urllib.parse import urlsplit

import orjson
from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.http.errors.messages import language_of
from sanicbase.http.openapi import DESCRIPTIONS
from sanicbase.i18n import gettext_noop, languages, translation
from sanicbase.server.context import ERROR_FORMAT, App

__all__ = ["install_docs"]

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
FILES = (
    "docs.css", "dom.js", "fields.js", "history.js", "main.js", "operations.js", "schema.js", "sending.js", "theme.js",
    "translations.js", "websockets.js",
)  # fmt: skip
TEXT = re.compile(r'\b_\("([^"]+)"\)')
"""A text of the page in one of its scripts, which is in the catalogs."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def install_docs(app: App | Blueprint, *, documents: Mapping[str, str] | None = None) -> None:
    """Serve the page at `/docs`. `documents` are the URLs of the OpenAPI documents that it shows, by the names from
    which readers choose; by default it shows the app's own `openapi.json`.

    A URL is relative to that of the page, so that a proxy can put both behind a prefix, which the page's requests have
    as well. Documents of other origins, and requests to these, need their permission (CORS).
    """
    documents = documents or {"": "openapi.json"}
    headers = {"Content-Security-Policy": POLICY.format(connect=_sources(documents.values())), **HEADERS}

    async def page(request: Request) -> HTTPResponse:
        return _file("docs.html", headers, documents=escape(orjson.dumps(documents).decode()))

    async def file(request: Request, name: str) -> HTTPResponse:
        if name not in FILES:
            raise NotFound
        return _file(name, headers)

    async def translations(request: Request) -> HTTPResponse:
        content = orjson.dumps({"preferred": language_of(request), "languages": _translations()})
        return HTTPResponse(content, headers={**headers, "Vary": "Accept-Language"}, content_type="application/json")

    paths = ((page, "/docs"), (file, "/docs/<name:str>"), (translations, "/docs/translations.json"))
    for handler, uri in paths:
        name, methods = f"docs_{handler.__name__}", ("GET", "HEAD")
        app.add_route(handler, uri, methods=methods, strict_slashes=True, name=name, error_format=ERROR_FORMAT)


def _sources(urls: Iterable[str]) -> str:
    """The origins to which the page may connect: its own and those of the documents, with their WebSockets."""
    origins = {f"{parts.scheme}://{parts.netloc}" for url in urls if (parts := urlsplit(url)).netloc}
    return " ".join(["'self'", *sorted(origins), *sorted(f"ws{origin.removeprefix('http')}" for origin in origins)])


def _file(name: str, headers: Mapping[str, str], *, documents: str = "") -> HTTPResponse:
    text = _text(name).replace("@documents@", documents).replace("@noscript@", _noscript())
    return HTTPResponse(text, headers=dict(headers), content_type=TYPES[name.rpartition(".")[2]])


@cache
def _text(name: str) -> str:
    return (files("sanicbase.http") / "page" / name).read_text(encoding="utf-8")


@cache
def _noscript() -> str:
    message = gettext_noop("This page needs JavaScript.")
    return " ".join(translation(language).gettext(message) for language in languages())


@cache
def _translations() -> dict[str, dict[str, object]]:
    """The texts of the page, and those of sanicbase in the document, in each language, with the language's name."""
    scripts = [_text(name) for name in FILES if name.endswith(".js")]
    texts = sorted({*DESCRIPTIONS, *(text for script in scripts for text in TEXT.findall(script))})
    return {
        language: {
            "name": translation(language).name,
            "tag": translation(language).tag,
            "messages": {text: translation(language).gettext(text) for text in texts},
        }
        for language in languages()
    }
