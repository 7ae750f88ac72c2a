"""`sanicGuider routes`: the routes of a service."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator

import click
from sanic import Sanic

from sanicbase.auth import Policy
from sanicbase.cli.project import current_project, service_argument
from sanicbase.cli.table import table
from sanicbase.http.guards import Guard, is_guarded, required_checks
from sanicbase.http.routes import operations_of
from sanicbase.i18n import gettext as _
from sanicbase.server.context import App

__all__ = ["routes"]

Row = tuple[str, str, str, str]


@click.command()
@click.option("--permissions", is_flag=True, help="List who can do what: each action, with the roles that have it.")
@service_argument
def routes(service: str, permissions: bool) -> None:
    """List the routes of a SERVICE: method, path, view and access, without connecting to a server."""
    rows: list[Row] = []
    for kind in ("http", "ws"):
        if current_project().text(f"{kind}_{service}.py") is not None:
            rows += sorted(_rows(_app(f"{kind}_{service}")), key=lambda row: (row[1], row[0]))
    if permissions:
        click.echo("\n\n".join(_permission_tables(service, rows)))
        return
    head = (_("method"), _("path"), _("view"), _("access"))
    click.echo(table([head, *rows]))


def _permission_tables(service: str, rows: Iterable[Row]) -> Iterator[str]:
    """The table of each policy, with the routes that require its actions."""
    policies = _policies(service)
    if not policies:
        raise click.UsageError(_("{service} has no Policy.", service=service))
    places: dict[str, list[str]] = {}
    for method, path, _view, access in rows:
        for action in access.split(", "):
            places.setdefault(action, []).append(f"{method} {path}")
    for policy in policies:
        head, *lines = policy.table()
        yield table([(*head, _("routes")), *((*line, ", ".join(places.get(line[0], ()))) for line in lines)])


def _policies(service: str) -> list[Policy[object]]:
    """The policies in the modules of a service, which are imported."""
    modules = [sys.modules[name] for name in sorted(sys.modules) if name.partition(".")[0] == service]
    values_of_modules = (value for module in modules for value in vars(module).values())
    return list(dict.fromkeys(value for value in values_of_modules if isinstance(value, Policy)))


def _rows(app: App) -> Iterator[Row]:
    for route in app.router.routes:
        access, guards = _access(route.ctx), getattr(route.ctx, "guards", ())
        if route.extra.websocket:
            yield "WS", f"/{route.path}", route.handler.__name__, _permissions(guards, "GET") or access
        for method in sorted(set(route.methods) - {"HEAD", "OPTIONS"}) if not route.extra.websocket else ():
            operation = operations_of(route).get(method)
            users = operation is not None and operation.requires_user
            allowed = _permissions(guards, method) or (_("users") if users else access)
            yield method, f"/{route.path}", _view(route), allowed


def _access(context: object) -> str:
    if is_guarded(getattr(context, "guards", ())):
        return _("admit decides")
    return _("public")


def _permissions(guards: Iterable[Guard], method: str) -> str:
    return ", ".join(getattr(check, "__name__", "") for check in required_checks(guards, method))


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
