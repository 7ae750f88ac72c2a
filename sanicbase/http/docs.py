"""The documentation page at `/docs`: what the service's OpenAPI document says, and a form to try each operation.

It is our own, of a few plain files: the packages on PyPI that ship Swagger UI have one of 2023, which knows no
OpenAPI 3.1, or bring a web framework with it, and neither speaks Chinese. The browser is told to load nothing from
elsewhere, and to run nothing that is written into the page.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from sanic import Blueprint
from sanic.exceptions import NotFound
from sanic.request import Request
from sanic.response import HTTPResponse

from sanicbase.typing import App

__all__ = ["install_docs"]

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
FILES = ("docs.css", "dom.js", "main.js", "operations.js", "schema.js", "sending.js", "words.js")
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
    """Serve the page at `/docs`. `document` is the address of the OpenAPI document, relative to the page's.

    Relative, so that a proxy may put both behind a prefix; requests from the page go to paths behind that prefix, too.
    """

    async def page(request: Request) -> HTTPResponse:
        return _answer("docs.html", document)

    async def file(request: Request, name: str) -> HTTPResponse:
        if name not in FILES:
            raise NotFound
        return _answer(name)

    for handler, uri in ((page, "/docs"), (file, "/docs/<name:str>")):
        app.add_route(handler, uri, methods=("GET", "HEAD"), strict_slashes=True, name=f"docs_{handler.__name__}")


def _answer(name: str, document: str = "") -> HTTPResponse:
    text = _text(name).replace("@document@", document)
    return HTTPResponse(text, headers=dict(HEADERS), content_type=TYPES[name.rpartition(".")[2]])


@cache
def _text(name: str) -> str:
    return (files("sanicbase.http") / "page" / name).read_text(encoding="utf-8")
