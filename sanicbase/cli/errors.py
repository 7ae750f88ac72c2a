"""`sanicGuider errors`: the error codes of a service, for authors of clients."""

from __future__ import annotations

import click

from sanicbase.cli.project import service_argument
from sanicbase.codes.export import FORMATS, load_codes

__all__ = ["errors"]


@click.command()
@service_argument
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="md", help="Markdown, JSON or TypeScript.")
def errors(service: str, form: str) -> None:
    """Print the error codes of a service, such as xi_test, and those of sanicbase."""
    click.echo(FORMATS[form](load_codes(service)), nl=False)
