"""What a start says of the paths that are served."""

from __future__ import annotations

import pytest
from sanic import Blueprint, Sanic
from sanic.request import Request
from sanic.response import HTTPResponse, text

from sanicbase.app.summary import common_prefix


async def answer(request: Request, **path: object) -> HTTPResponse:
    return text("")


def blueprint(name: str, prefix: str, *paths: str) -> Blueprint:
    blueprint = Blueprint(name, url_prefix=prefix)
    for number, path in enumerate(paths):
        blueprint.add_route(answer, path, name=f"r{number}")
    return blueprint


@pytest.mark.parametrize(
    ("prefixes", "paths", "shown"),
    [
        (["/shop"], ["/hello"], "/shop"),
        (["/shop"], ["/hello", "/things/<number:int>"], "/shop"),
        (["/api/v2/shop"], ["/a", "/b/c"], "/api/v2/shop"),
        (["/api/a", "/api/b"], ["/x"], "/api"),
        (["/a", "/b"], ["/x"], ""),
        ([""], ["/x"], ""),
        (["/<tenant:str>"], ["/x/y"], ""),
        ([], [], ""),
    ],
)
def test_the_address_has_what_all_paths_begin_with(prefixes: list[str], paths: list[str], shown: str) -> None:
    app = Sanic("summary", configure_logging=False)
    for number, prefix in enumerate(prefixes):
        app.blueprint(blueprint(f"b{number}", prefix, *paths))
    try:
        assert common_prefix(app.blueprints.values()) == shown
    finally:
        Sanic.unregister_app(app)
