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
from sanicbase.db.database import models_known
from sanicbase.http.openapi import breaking_changes, document, info_of
from sanicbase.terminal import say
from sanicbase.typing import App

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
    config: Config = found.ctx.config
    made = asyncio.run(_document(found, config))
    file = file or config.package_dir() / "openapi.json"
    if write:
        _write(file, _text(made))
        click.echo(say(f"{file} is written.", f"已写入 {file}。"))
    elif check:
        _check(made, file)
    else:
        click.echo(_text(made), nl=False)


async def _document(app: App, config: Config) -> dict[str, Any]:
    async with models_known(config):  # filters behind foreign keys have the types of other models' columns
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
        raise click.ClickException(say(f"{file} cannot be written: {exc}.", f"无法写入 {file}：{exc}。")) from exc


def _check(made: dict[str, Any], file: Path) -> None:
    try:
        committed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise click.ClickException(
            say(
                f"{file} cannot be read: {exc}. Write it by --write, and commit it.",
                f"读不出 {file}：{exc}。请用 --write 写入并提交。",
            )
        ) from exc
    if not isinstance(committed, dict) or "openapi" not in committed:
        raise click.ClickException(
            say(
                f"{file} is no OpenAPI document. Write it by --write, and commit it.",
                f"{file} 不是 OpenAPI 文档。请用 --write 写入并提交。",
            )
        )
    if broken := breaking_changes(committed, made):
        lines = "\n".join(f"  {each}" for each in broken)
        raise click.ClickException(
            say(
                f"Clients of {file} would break:\n{lines}\nIf that is meant, run --write.",
                f"{file} 的客户端会受影响：\n{lines}\n如果是有意的，请用 --write 写入。",
            )
        )
    same = _text(committed) == _text(made)
    if same:
        click.echo(say("Nothing has changed.", "没有变化。"))
    else:
        click.echo(
            say(
                "Nothing breaks, and something has changed: run --write.",
                "有变化，但不影响客户端：请用 --write 写入。",
            )
        )


def _text(made: dict[str, Any]) -> str:
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def _app(name: str) -> App:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name != module_name:
            raise  # an import inside the module failed, and its traceback tells where
        raise click.UsageError(
            say(
                f"There is no module {module_name}. Run this in the project's folder.",
                f"没有模块 {module_name}。请在项目目录下执行。",
            )
        ) from exc
    found = getattr(module, attribute or "app", None)
    if not isinstance(found, Sanic) or not isinstance(getattr(found.ctx, "config", None), Config):
        raise click.UsageError(
            say(
                f"{name} is no app that create_app has made. Name a launch file: http_xi_test.",
                f"{name} 不是 create_app 创建的应用。请写启动文件，如 http_xi_test。",
            )
        )
    return found
