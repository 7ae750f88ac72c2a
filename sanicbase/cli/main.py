"""The commands, and where they find the project."""

from __future__ import annotations

import click

from sanicbase.cli.add import add
from sanicbase.cli.cache import cache
from sanicbase.cli.config import config
from sanicbase.cli.deploy import deploy
from sanicbase.cli.doctor import doctor
from sanicbase.cli.help import Guider
from sanicbase.cli.new import guide, new
from sanicbase.cli.openapi import openapi
from sanicbase.cli.project import guessed_service, here
from sanicbase.cli.routes import routes
from sanicbase.cli.shell import shell
from sanicbase.codes.export import FORMATS, load_codes
from sanicbase.jobs.command import UsageError, run_command
from sanicbase.terminal import say

__all__ = ["main"]


@click.group(cls=Guider, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """The daily commands of a project; run them in the project's folder. Without one it guides to a new service."""
    here()
    if context.invoked_subcommand is None:
        guide()


main.add_command(new)
main.add_command(add)
main.add_command(doctor)
main.add_command(shell)
main.add_command(routes)
main.add_command(config)
main.add_command(cache)
main.add_command(deploy)


# Behind the path every word is the function's, `--help` as well.
@main.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.argument("path")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]…")
def run(path: str, words: tuple[str, ...]) -> None:
    """Run a function of a service, such as xi_test.script.rebuild, inside the service's lifespan.

    PATH is package.module or package.module:function; without a name it is the module's `main`, or the function named
    as the module. `sanicGuider run PATH --help` shows what the function takes.
    """
    try:
        run_command(path, words)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc


@main.command()
@click.argument("service", required=False)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="md", help="Markdown, JSON or TypeScript.")
def errors(service: str | None, form: str) -> None:
    """Print the error codes of a service, such as xi_test, and those of sanicbase."""
    try:
        codes = load_codes(guessed_service(service))
    except ModuleNotFoundError as exc:
        raise click.UsageError(
            say(
                f"{exc}. Run this in the project's folder, with the name of a service.",
                f"{exc}。请在项目目录下执行，并写上服务名。",
            )
        ) from exc
    click.echo(FORMATS[form](codes), nl=False)


main.add_command(openapi)
