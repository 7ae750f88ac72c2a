"""`sanicGuider run`: runs a function in the lifespan of a service."""

from __future__ import annotations

import click

from sanicbase.jobs.command import UsageError, run_command

__all__ = ["run"]


# All arguments after the path are passed to the function, including `--help`.
@click.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.argument("path")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]…")
def run(path: str, words: tuple[str, ...]) -> None:
    """Run a function of a service, such as xi_test.script.rebuild, inside the service's lifespan.

    PATH is package.module:function, or package.module for the module's `main` or the function with the module's name.
    `sanicGuider run PATH --help` shows the parameters of the function.
    """
    try:
        run_command(path, words)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
