"""`sanicGuider errors`: the error codes of a service, for those who write its clients."""

from __future__ import annotations

import click

from sanicbase.cli.project import of_service
from sanicbase.codes.export import FORMATS, load_codes
from sanicbase.terminal import say

__all__ = ["errors"]


@click.command()
@of_service
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="md", help="Markdown, JSON or TypeScript.")
def errors(service: str, form: str) -> None:
    """Print the error codes of a service, such as xi_test, and those of sanicbase."""
    try:
        codes = load_codes(service)
    except ModuleNotFoundError as exc:
        raise click.UsageError(
            say(
                f"{exc}. Run this in the project's folder, with the name of a service.",
                f"{exc}。请在项目目录下执行，并写上服务名。",
            )
        ) from exc
    click.echo(FORMATS[form](codes), nl=False)
