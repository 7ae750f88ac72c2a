"""The documentation page at `/docs`: the service's OpenAPI document, and a form to try each operation.

It is our own, in a few plain files: the packages on PyPI that ship Swagger UI have one of 2023, which does not know
OpenAPI 3.1, or depend on a web framework, and neither is in Chinese. The browser loads nothing from elsewhere, and runs
no inline script.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import orjson
from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.http.errors.messages import language_of
from sanicbase.i18n import gettext_noop, languages, translation
from sanicbase.server.context import App

__all__ = ["install_docs"]

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
FILES = ("docs.css", "dom.js", "main.js", "operations.js", "schema.js", "sending.js", "translations.js")
TEXT = re.compile(r'\b_\("([^"]+)"\)')
"""A text of the page in one of its scripts, which is in the catalogs."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def install_docs(app: App | Blueprint, *, document: str = "openapi.json") -> None:
    """Serve the page at `/docs`. `document` is the URL of the OpenAPI document, relative to the page's.

    It is relative so that a proxy can put both behind a prefix; requests from the page have that prefix, too.
    """

    async def page(request: Request) -> HTTPResponse:
        return _file("docs.html", document)

    async def file(request: Request, name: str) -> HTTPResponse:
        if name not in FILES:
            raise NotFound
        return _file(name)

    async def translations(request: Request) -> HTTPResponse:
        content = orjson.dumps({"preferred": language_of(request), "languages": _translations()})
        return HTTPResponse(content, headers={**HEADERS, "Vary": "Accept-Language"}, content_type="application/json")

    paths = ((page, "/docs"), (file, "/docs/<name:str>"), (translations, "/docs/translations.json"))
    for handler, uri in paths:
        app.add_route(handler, uri, methods=("GET", "HEAD"), strict_slashes=True, name=f"docs_{handler.__name__}")


def _file(name: str, document: str = "") -> HTTPResponse:
    text = _text(name).replace("@document@", document).replace("@noscript@", _noscript())
    return HTTPResponse(text, headers=dict(HEADERS), content_type=TYPES[name.rpartition(".")[2]])


@cache
def _text(name: str) -> str:
    return (files("sanicbase.http") / "page" / name).read_text(encoding="utf-8")


@cache
def _noscript() -> str:
    message = gettext_noop("This page needs JavaScript.")
    return " ".join(translation(language).gettext(message) for language in languages())


@cache
def _translations() -> dict[str, dict[str, object]]:
    """The page's texts in each language, and what the language is called."""
    scripts = [_text(name) for name in FILES if name.endswith(".js")]
    texts = sorted({text for script in scripts for text in TEXT.findall(script)})
    return {
        language: {
            "name": translation(language).name,
            "tag": translation(language).tag,
            "messages": {text: translation(language).gettext(text) for text in texts},
        }
        for language in languages()
    }
