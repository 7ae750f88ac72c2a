"""`sanicGuider openapi`: the service's document, compared with the one that is committed."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import click
from sanic import Sanic

from sanicbase.cli.project import guessed_service, here
from sanicbase.config import Config
from sanicbase.db.database import models_initialized
from sanicbase.http.openapi import breaking_changes, document, info_of
from sanicbase.i18n import gettext as _
from sanicbase.server.context import App

__all__ = ["openapi"]


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option("--write", is_flag=True, help="Write the document to the file.")
@click.option("--check", is_flag=True, help="Compare it with the file; status 1 when a client would break.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="By default <package>/openapi.json.")
def openapi(app: str | None, write: bool, check: bool, file: Path | None) -> None:
    """Print the OpenAPI document of APP, a service or a launch file such as http_xi_test; or write it, or check it.

    Without APP it is that of the only service. Nothing is connected to, and nothing is served.
    """
    found = _app(_launch_file(app))
    config = found.ctx.config
    made = asyncio.run(_document(found, config))
    file = file or config.package_dir() / "openapi.json"
    if write:
        _write(file, _text(made))
        click.echo(_("{file} is written.", file=file))
    elif check:
        _check(made, file)
    else:
        click.echo(_text(made), nl=False)


async def _document(app: App, config: Config) -> dict[str, Any]:
    async with models_initialized(config):  # filters behind foreign keys have the types of other models' columns
        return document(app, info_of(config))


def _launch_file(app: str | None) -> str:
    """The launch file that is meant: the named one, or that of a service, or of the only one."""
    if app and not here().service(app):
        return app
    return f"http_{guessed_service(app)}"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(_("{file} cannot be written: {error}.", file=file, error=exc)) from exc


def _check(made: dict[str, Any], file: Path) -> None:
    try:
        committed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise click.ClickException(
            _("{file} cannot be read: {error}. Write it by --write, and commit it.", file=file, error=exc)
        ) from exc
    if not isinstance(committed, dict) or "openapi" not in committed:
        raise click.ClickException(_("{file} is no OpenAPI document. Write it by --write, and commit it.", file=file))
    if broken := breaking_changes(committed, made):
        lines = "\n".join(f"  {each}" for each in broken)
        raise click.ClickException(
            _("Clients of {file} would break:\n{lines}\nIf that is meant, run --write.", file=file, lines=lines)
        )
    same = _text(committed) == _text(made)
    if same:
        click.echo(_("Nothing has changed."))
    else:
        click.echo(_("Nothing breaks, and something has changed: run --write."))


def _text(made: dict[str, Any]) -> str:
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _app(name: str) -> App:
    module_name, attribute = name.partition(":")[::2]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name != module_name:
            raise  # an import inside the module failed, and its traceback tells where
        raise click.UsageError(
            _("There is no module {module}. Run this in the project's folder.", module=module_name)
        ) from exc
    found = getattr(module, attribute or "app", None)
    if not isinstance(found, Sanic) or not isinstance(getattr(found.ctx, "config", None), Config):
        raise click.UsageError(
            _("{name} is no app that create_app has made. Name a launch file: http_xi_test.", name=name)
        )
    return found
