"""`sanicGuider routes`: the routes of a service."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import click
from sanic import Sanic

from sanicbase.cli.project import current_project, service_argument
from sanicbase.cli.table import table
from sanicbase.http.routes import operations_of
from sanicbase.i18n import gettext as _
from sanicbase.server.context import App

__all__ = ["routes"]

Row = tuple[str, str, str, str]


@click.command()
@service_argument
def routes(service: str) -> None:
    """List the routes of a SERVICE: method, path, view and access. Nothing is connected to."""
    rows: list[Row] = []
    for kind in ("http", "ws"):
        if current_project().text(f"{kind}_{service}.py") is not None:
            rows += sorted(_rows(_app(f"{kind}_{service}")), key=lambda row: (row[1], row[0]))
    head = (_("method"), _("path"), _("view"), _("access"))
    click.echo(table([head, *rows]))


def _rows(app: App) -> Iterator[Row]:
    for route in app.router.routes:
        who = _who(route.ctx)
        if route.extra.websocket:
            yield "WS", f"/{route.path}", route.handler.__name__, who
        for method in sorted(set(route.methods) - {"HEAD", "OPTIONS"}) if not route.extra.websocket else ():
            operation = operations_of(route).get(method)
            users = operation is not None and operation.requires_user
            yield method, f"/{route.path}", _view(route), _("users") if users else who


def _who(context: object) -> str:
    if getattr(context, "guards", ()):
        return _("admit decides")
    return _("public")


def _view(route: object) -> str:
    handler = getattr(route, "handler", None)
    cls = getattr(handler, "view_class", None)
    return getattr(cls or handler, "__name__", "")


def _app(module: str) -> App:
    app = getattr(importlib.import_module(module), "app", None)
    if not isinstance(app, Sanic):
        raise click.UsageError(_("{module}.py has no `app`.", module=module))
    if not app.router.finalized:
        app.router.finalize()
    return app
