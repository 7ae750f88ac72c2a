"""`sanicGuider openapi`: a service's OpenAPI document, compared with the committed one."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import click
from sanic import Sanic

from sanicbase.cli.project import current_project, resolve_service
from sanicbase.config import Config
from sanicbase.db.database import models_initialized
from sanicbase.http.openapi import breaking_changes, document, info_of
from sanicbase.i18n import gettext as _
from sanicbase.server.context import App

__all__ = ["openapi"]


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option("--write", is_flag=True, help="Write the document to the file.")
@click.option(
    "--check", is_flag=True, help="Compare the document with the file. The exit status is 1 on breaking changes."
)
@click.option(
    "--file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="By default <package>/openapi.json."
)
def openapi(app: str | None, write: bool, check: bool, file: Path | None) -> None:
    """Print, write or check the OpenAPI document of APP, a service or a launch file such as http_xi_test.

    APP can be omitted if the project has one service. The command connects to no server and serves nothing.
    """
    app_object = _app(_launch_file(app))
    config = app_object.ctx.config
    spec = asyncio.run(_document(app_object, config))
    file = file or config.package_dir() / "openapi.json"
    if write:
        _write(file, _text(spec))
        click.echo(_("Wrote {file}.", file=file))
    elif check:
        _check(spec, file)
    else:
        click.echo(_text(spec), nl=False)


async def _document(app: App, config: Config) -> dict[str, Any]:
    async with models_initialized(config):  # filters across foreign keys have the types of columns in other models
        return document(app, info_of(config))


def _launch_file(app: str | None) -> str:
    """The launch file: the named one, or that of the named or only service."""
    if app and not current_project().service(app):
        return app
    return f"http_{resolve_service(app)}"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(_("Cannot write {file}: {error}.", file=file, error=exc.strerror)) from exc


def _check(spec: dict[str, Any], file: Path) -> None:
    try:
        committed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise click.ClickException(
            _(
                "Cannot read {file}: {error}. Write it with --write, and commit it.",
                file=file,
                error=getattr(exc, "strerror", exc),
            )
        ) from exc
    if not isinstance(committed, dict) or "openapi" not in committed:
        raise click.ClickException(
            _("{file} is not an OpenAPI document. Write it with --write, and commit it.", file=file)
        )
    if broken := breaking_changes(committed, spec):
        lines = "\n".join(f"  {change}" for change in broken)
        raise click.ClickException(
            _("Clients of {file} would break:\n{lines}\nIf this is intended, run with --write.", file=file, lines=lines)
        )
    is_unchanged = _text(committed) == _text(spec)
    if is_unchanged:
        click.echo(_("Nothing has changed."))
    else:
        click.echo(_("The document has changed without breaking changes. Run with --write."))


def _text(spec: dict[str, Any]) -> str:
    return json.dumps(spec, ensure_ascii=False, indent=2) + "\n"


def _app(name: str) -> App:
    module_name, attribute = name.partition(":")[::2]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name != module_name:
            raise  # an import inside the module failed; its traceback shows where
        raise click.UsageError(
            _("There is no module {module}. Run the command in the project's folder.", module=module_name)
        ) from exc
    app_object = getattr(module, attribute or "app", None)
    if not isinstance(app_object, Sanic) or not isinstance(getattr(app_object.ctx, "config", None), Config):
        raise click.UsageError(_("{name} is not an app of create_app. Specify a launch file: http_xi_test.", name=name))
    return app_object
